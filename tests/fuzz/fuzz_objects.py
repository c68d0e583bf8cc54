"""Damaged object files through the loader: each must load or be refused with an ObjectError, in bounded time.

Run: python -m tests.fuzz objects [--seconds S] [--seed N]

A find is written to /tmp/tidegate-fuzz-objects-SEED.o; its bytes belong into a test.
"""

from __future__ import annotations

import contextlib
import functools
import random
import time
from pathlib import Path

from appliance.ebpf.btf.btf import Btf
from appliance.ebpf.btf.index import index_btf
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.spec import CollectionSpec
from appliance.ebpf.values import Codecs, definition, parts_of
from tests.appliance.api import typed_objects
from tests.appliance.ebpf.compiling import PROGRAMS, compile_c
from tests.fuzz.mutations import mutate

SLOW = 2.0  # seconds for an object of a few kilobytes: something is not linear
LARGE = 1 << 20  # bytes of a value, which nobody need read here


# What our own programs do not have: called functions, static and global, and data of every kind.
_RICH = """
const volatile int limit = 5;
int table[3] = {1, 2, 3};
static volatile int kept = 4;
__u64 zero[4];
struct { MAP(BPF_MAP_TYPE_HASH); } one SEC(".maps");
static struct { MAP(BPF_MAP_TYPE_ARRAY); } other SEC(".maps");
static __noinline int called(int x) { return table[x & 1] * bpf_get_prandom_u32() + kept; }
__noinline int known(int x) { zero[2]++; return called(x) - limit; }
static __noinline int look(__u32 x) { __u64 *v = bpf_map_lookup_elem(&one, &x); return v ? *v : known(x); }
SEC("xdp") int first(struct xdp_md *ctx) { return look(ctx->rx_queue_index) & 3; }
SEC("xdp/second") int second(struct xdp_md *ctx) { __u32 k = 1; __u64 *v = bpf_map_lookup_elem(&other, &k);
    return v ? *v & 3 : called(ctx->ingress_ifindex) & 1; }
char _license[] SEC("license") = "GPL";
"""


# Questions of every kind about types; the object's own answer them, so that only the damage differs.
_ASKING = """
#include <bpf/bpf_core_read.h>
#define P __attribute__((preserve_access_index))
enum colour { RED, GREEN };
struct deep { struct { int a; union { long b; struct deep *c; }; }; int many[3][2]; unsigned bits : 3; } P;
struct deep deep; enum colour colour;
SEC("xdp") int p(struct xdp_md *ctx) {
    struct deep *d = (void *)(long)ctx->data;
    return d->c->many[1][1] + bpf_core_field_exists(d->b) + bpf_core_field_size(d->many)
        + BPF_CORE_READ_BITFIELD(d, bits)
        + bpf_core_type_exists(struct deep) + bpf_core_type_size(struct deep) + bpf_core_type_id_kernel(struct deep)
        + bpf_core_type_id_local(struct deep) + bpf_core_enum_value(enum colour, GREEN)
        + bpf_core_enum_value_exists(enum colour, RED) + deep.a + colour;
}
"""
_LEGACY = """
struct bpf_map_def { __u32 type, key_size, value_size, max_entries, map_flags; };
struct bpf_map_def SEC("maps") m = { BPF_MAP_TYPE_HASH, 4, 8, 16, 0 };
SEC("?xdp") int p(void *ctx) { return bpf_map_lookup_elem(&m, ctx) != 0; }
"""


@functools.cache
def target() -> Btf:
    """The types that answer."""
    return index_btf(compile_c(_ASKING), "fuzz.o")


def bases() -> list[bytes]:
    """Sound objects to damage."""
    own = (path.read_bytes() for path in sorted(PROGRAMS.glob("*.bpf.o")))
    return [*own, compile_c(_RICH), compile_c(_ASKING), compile_c(_LEGACY), typed_objects.compiled()]


def survives(data: bytes) -> bool:
    """Whether the loader takes the file; False if it is refused. Any other exception is a find."""
    try:
        spec = load_object(data, "fuzz.o", target_btf=target())
    except ObjectError:
        return False
    read_values(spec)
    return True


def read_values(spec: CollectionSpec) -> None:
    """All zero, as each type that the file gives to a map or variable: read, written, and named."""
    codecs = Codecs(spec.types)
    typed = [(map_.key_type, map_.key_size) for map_ in spec.maps.values()]
    typed += [(map_.value_type, map_.value_size) for map_ in spec.maps.values()]
    typed += [(variable.type, variable.size) for map_ in spec.maps.values() for variable in map_.variables]
    for number, size in typed:
        with contextlib.suppress(ObjectError):
            codec = codecs.of(number, size)
            if size < LARGE:
                codec.encode(codec.decode(bytes(size)))
            if number and spec.types is not None:
                assert all(definition(spec.types, part) for part in parts_of(spec.types, number))


def main(seconds: float, seed: int, least: int = 0) -> int:
    """Mutate for that long, and at least so many files; the number of finds."""
    sound, now = bases(), seed
    counts, finds, end = {True: 0, False: 0}, 0, time.monotonic() + seconds
    while time.monotonic() < end or now - seed < least:
        chance = random.Random(now)
        data, began = mutate(chance.choice(sound), chance), time.perf_counter()
        try:
            counts[survives(data)] += 1
            problem = "slow" if time.perf_counter() - began > SLOW else ""
        except Exception as error:
            problem = repr(error)
        if problem:
            finds += 1
            place = Path(f"/tmp/tidegate-fuzz-objects-{now}.o")
            place.write_bytes(data)
            print(f"seed {now}: {place}: {problem}", flush=True)
        now += 1
    print(f"objects: {counts[True]} loaded, {counts[False]} refused, {finds} finds", flush=True)
    return finds
