"""What every declaration of a map must satisfy, as small checks that each map type combines."""

from __future__ import annotations

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import LOCK_SIZE, MapSpec
from appliance.maps.errors import MapRefused

MEMORY_LIMIT = 1 << 30  # bytes of one map; the kernel's own limit is 4 GiB, and a box has many maps
ENTRIES_LIMIT = 1 << 30  # indices of elements are 32 bits wide, and some maps need twice as many

# Flags of map creation (BPF_F_* of include/uapi/linux/bpf.h) . Some change nothing for maps in this process, as what
# they ask for is so already; the others say who may read and write the map.
_NO_PREALLOC, _NO_COMMON_LRU, NUMA_NODE, _MMAPABLE = 1 << 0, 1 << 1, 1 << 2, 1 << 10
RDONLY, WRONLY, RDONLY_PROG, WRONLY_PROG = 1 << 3, 1 << 4, 1 << 7, 1 << 8  # for bpf(), and for programs
_ZERO_SEED = 1 << 6  # of hashes; which seeds a map has is nobody's business

COMMON_FLAGS = NUMA_NODE | RDONLY | WRONLY | RDONLY_PROG | WRONLY_PROG
ARRAY_FLAGS = COMMON_FLAGS | _MMAPABLE
HASH_FLAGS = COMMON_FLAGS | _NO_PREALLOC
LRU_FLAGS = COMMON_FLAGS | _NO_COMMON_LRU
LPM_FLAGS = COMMON_FLAGS | _NO_PREALLOC
BLOOM_FLAGS = COMMON_FLAGS | _ZERO_SEED
REDIRECT_FLAGS = NUMA_NODE | RDONLY | WRONLY


def check_sizes(spec: MapSpec) -> None:
    """A value has at least one byte, a map at least one entry."""
    if spec.value_size < 1:
        raise MapRefused(
            spec.name, spec.type, f"a value of {spec.value_size} bytes", hint="a value has at least 1 byte"
        )
    if not 1 <= spec.max_entries <= ENTRIES_LIMIT:
        raise MapRefused(
            spec.name,
            spec.type,
            f"max_entries is {spec.max_entries}",
            hint=f"set max_entries to between 1 and {ENTRIES_LIMIT}",
        )


def check_key_size(spec: MapSpec, least: int, most: int, hint: str) -> None:
    """`least` and `most` in bytes, both allowed."""
    if not least <= spec.key_size <= most:
        raise MapRefused(spec.name, spec.type, f"a key of {spec.key_size} bytes", hint=hint)


def check_flags(spec: MapSpec, known: int) -> None:
    """Flags that mean something else than `known` ones are refused, not ignored."""
    unknown = spec.flags & ~known
    if unknown:
        raise MapRefused(
            spec.name, spec.type, f"map_flags {unknown:#x} mean nothing here", hint="remove them from map_flags"
        )
    for who, nothing in (("bpf()", RDONLY | WRONLY), ("programs", RDONLY_PROG | WRONLY_PROG)):
        if spec.flags & nothing == nothing:
            what = f"map_flags {nothing:#x} let {who} neither read nor write"
            raise MapRefused(spec.name, spec.type, what, hint="remove one of the two from map_flags")


def check_lock(spec: MapSpec) -> None:
    """A lock is a part of a hash's or an array's value, which programs may write (kernel/bpf/syscall.c,
    map_check_btf)."""
    if spec.lock is None:
        return
    if spec.type not in (MapType.HASH, MapType.ARRAY):
        what, hint = "a value with a lock (struct bpf_spin_lock)", "use a hash or an array"
    elif spec.flags & (RDONLY_PROG | WRONLY_PROG):
        what, hint = f"a value with a lock, and map_flags {spec.flags:#x}", "let programs read and write it"
    elif spec.lock % 4 or not 0 <= spec.lock <= spec.value_size - LOCK_SIZE:
        what, hint = f"a lock at byte {spec.lock} of {spec.value_size}", "place it inside the value, aligned to 4 bytes"
    else:
        return
    raise MapRefused(spec.name, spec.type, what, hint=hint)


def check_memory(spec: MapSpec, size: int) -> None:
    """`size` is what the whole map takes, in bytes."""
    if size > MEMORY_LIMIT:
        raise MapRefused(
            spec.name,
            spec.type,
            f"{spec.max_entries} entries take {size} bytes, more than the {MEMORY_LIMIT} that one map may have",
            hint="lower max_entries or the size of the value",
        )
