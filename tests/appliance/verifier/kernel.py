"""The Linux kernel's verifier as a judge: bpf(BPF_PROG_LOAD) by ctypes, never attached to anything.

Sources: `union bpf_attr` of include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from appliance.ebpf.isa.codec import encode
from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import MapSpec, ProgramSpec
from tests.kernel_functions import with_functions

_SYS_BPF = 321  # x86_64
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _PROG_LOAD, _PROG_TEST_RUN, _BTF_LOAD, _MAP_FREEZE = 0, 1, 2, 5, 10, 18, 22
_LOG_SIZE = 1 << 20
_ATTACHED_SOMEWHERE = (8, 9, 18, 25, 30)  # program types whose contexts depend on where they are attached
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes) -> int:
    """The system call's result; -errno if it failed."""
    result = int(_libc.syscall(_SYS_BPF, command, attributes, len(attributes)))
    return result if result >= 0 else -ctypes.get_errno()


def available() -> bool:
    """Whether this process may load programs."""
    result = _bpf(_MAP_CREATE, struct.pack("<5I", 2, 4, 4, 1, 0))
    if result >= 0:
        os.close(result)
    return result >= 0


# u32 or struct key { … }; struct value { … struct bpf_spin_lock lock; … }: what a map with a lock tells of its entries
_WORD, _KEY, _VALUE = 1, 3, 4
_STRINGS = b"\0u32\0bpf_spin_lock\0key\0value\0lock\0"


def _load_types(spec: MapSpec) -> int:
    """BTF of the key and the value, as a file descriptor (include/uapi/linux/btf.h)."""
    assert spec.lock is not None

    def name(text: str) -> int:
        return _STRINGS.index(b"\0" + text.encode() + b"\0") + 1

    integer, structure = 1 << 24, 4 << 24
    types = struct.pack("<4I", name("u32"), integer, 4, 32)
    types += struct.pack("<6I", name("bpf_spin_lock"), structure | 1, 4, name("lock"), 1, 0)
    types += struct.pack("<3I", name("key"), structure, spec.key_size)
    types += struct.pack("<6I", name("value"), structure | 1, spec.value_size, name("lock"), 2, 8 * spec.lock)
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(_STRINGS))
    blob = ctypes.create_string_buffer(header + types + _STRINGS, 24 + len(types) + len(_STRINGS))
    descriptor = _bpf(_BTF_LOAD, struct.pack("<QQII", ctypes.addressof(blob), 0, len(blob), 0))
    assert descriptor >= 0, os.strerror(-descriptor)
    return descriptor


@contextmanager
def kernel_maps(maps: Mapping[str, MapSpec]) -> Iterator[dict[str, int]]:
    """The maps in the kernel, by name, as file descriptors. Arrays of programs are empty."""
    descriptors: dict[str, int] = {}
    try:
        for spec in sorted(maps.values(), key=lambda spec: spec.inner is not None):
            descriptor = descriptors[spec.name] = _create(spec)
            values = (
                (index.to_bytes(spec.key_size, "little"), descriptors[name].to_bytes(4, "little"))
                for index, name in spec.values
                if spec.type is not MapType.PROG_ARRAY
            )
            for key, value in (*spec.contents, *values):
                update(descriptor, key, value)
            if spec.read_only:
                assert _bpf(_MAP_FREEZE, struct.pack("<I", descriptor)) == 0
        yield descriptors
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


def _create(spec: MapSpec) -> int:
    """The map, made in the kernel, as a file descriptor; of a map of maps, by the example of its `inner`."""
    numbers = {type_: number for number, type_ in LINUX.map_types.items()}
    inner = _create(spec.inner) if spec.inner is not None else 0
    sizes = spec.key_size, spec.value_size, spec.max_entries, spec.flags
    types = _load_types(spec) if spec.lock is not None else 0
    btf = (types, _WORD if spec.key_size == 4 else _KEY, _VALUE) if types else (0, 0, 0)
    descriptor = _bpf(_MAP_CREATE, struct.pack("<6I24x3I", numbers[spec.type], *sizes, inner, *btf))
    for used in (inner, types):
        if used:
            os.close(used)
    if descriptor < 0:
        raise OSError(-descriptor, os.strerror(-descriptor), spec.name)
    return descriptor


def update(descriptor: int, key: bytes, value: bytes) -> None:
    """Put an entry into a map."""
    buffers = (ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value)))
    addresses = (ctypes.addressof(buffer) for buffer in buffers)
    result = _bpf(_MAP_UPDATE, struct.pack("<IxxxxQQQ", descriptor, *addresses, 0))
    assert result == 0, os.strerror(-result)


def refusal(spec: ProgramSpec, maps: Mapping[str, int]) -> str | None:
    """None if the kernel accepts the program, else what its verifier says, with the path that it was on."""
    loaded = _load(spec, maps)
    if isinstance(loaded, str):
        return loaded
    os.close(loaded)
    return None


def lookup(descriptor: int, key: bytes, value_size: int) -> bytes:
    """The value under a key that is there."""
    buffers = (ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value_size))
    addresses = (ctypes.addressof(buffer) for buffer in buffers)
    assert _bpf(_MAP_LOOKUP, struct.pack("<IxxxxQQQ", descriptor, *addresses, 0)) == 0
    return buffers[1].raw


def run(spec: ProgramSpec, maps: Mapping[str, int]) -> int:
    """The low 32 bits of r0 after one frame of 64 zeros (BPF_PROG_TEST_RUN). The kernel must accept the program."""
    loaded = _load(spec, maps)
    assert isinstance(loaded, int), loaded
    frame = ctypes.create_string_buffer(64)
    attributes = bytearray(struct.pack("<IIIIQQII", loaded, 0, 64, 0, ctypes.addressof(frame), 0, 1, 0))
    answer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    try:
        result = int(_libc.syscall(_SYS_BPF, _PROG_TEST_RUN, answer, len(attributes)))
        assert result >= 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(loaded)
    return int(struct.unpack_from("<II", attributes)[1])


def accepts_quietly(spec: ProgramSpec, maps: Mapping[str, int]) -> bool:
    """Whether the kernel accepts the program, without a word that would take time."""
    loaded = _load(spec, maps, log_level=0)
    if isinstance(loaded, str):
        return False
    os.close(loaded)
    return True


def _load(spec: ProgramSpec, maps: Mapping[str, int], log_level: int = 1) -> int | str:
    """The program's file descriptor, or what the kernel's verifier says."""
    slots = encode(spec.instructions, maps)
    code = ctypes.create_string_buffer(slots, len(slots))
    license_ = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(_LOG_SIZE)
    addresses = [ctypes.addressof(buffer) for buffer in (code, license_, log)]
    attributes = struct.pack(
        "<IIQQIIQ28xI",
        spec.hook.program_type, len(slots) // 8, addresses[0], addresses[1],
        log_level, _LOG_SIZE if log_level else 0, addresses[2] if log_level else 0,
        spec.hook.attach_type if spec.hook.program_type in _ATTACHED_SOMEWHERE else 0,
    )  # fmt: skip
    with with_functions(attributes, slots) as whole:
        descriptor = _bpf(_PROG_LOAD, whole)
    if descriptor >= 0:
        return descriptor
    return log.value.decode(errors="replace").strip() or os.strerror(-descriptor)
