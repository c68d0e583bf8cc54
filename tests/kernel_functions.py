"""What the Linux kernel wants to know of a program that takes addresses of its functions, or makes tail calls in them:
a name and a type of each.

Sources: `struct bpf_func_info` and `union bpf_attr` of include/uapi/linux/bpf.h, Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager

BPF_BTF_LOAD = 18
SYS_BPF = {"x86_64": 321, "aarch64": 280}
FIRST_FIELD = 72  # the offset of `prog_btf_fd` in the attributes of BPF_PROG_LOAD
_CALL, _LOAD, _PSEUDO_CALL, _PSEUDO_FUNC = 0x85, 0x18, 1, 4
_TAIL_CALL = 12
_INT, _FUNC, _FUNC_PROTO = 1, 12, 13

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def with_functions(attributes: bytes, slots: bytes) -> Iterator[bytes]:
    """The attributes of BPF_PROG_LOAD and, if the kernel will ask, what is said of functions behind them."""
    starts, asked = _functions(slots)
    if not asked:
        yield attributes
        return
    types = _types(len(starts))
    blob = ctypes.create_string_buffer(types, len(types))
    load = ctypes.create_string_buffer(struct.pack("=QQII", ctypes.addressof(blob), 0, len(types), 0), 32)
    descriptor = _libc.syscall(SYS_BPF[platform.machine()], BPF_BTF_LOAD, load, len(load))
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    try:
        infos = b"".join(struct.pack("=II", start, number) for number, start in enumerate(starts, 3))
        table = ctypes.create_string_buffer(infos, len(infos))
        fields = struct.pack("=IIQI", descriptor, 8, ctypes.addressof(table), len(starts))
        yield attributes.ljust(FIRST_FIELD, b"\0") + fields
    finally:
        os.close(descriptor)


def _functions(slots: bytes) -> tuple[list[int], bool]:
    """The slots at which functions start, and whether the kernel will ask for their types."""
    starts, asked = {0}, False
    for number, (opcode, registers, _, immediate) in enumerate(struct.iter_unpack("<BBhi", slots)):
        source = registers >> 4
        if (opcode, source) in ((_CALL, _PSEUDO_CALL), (_LOAD, _PSEUDO_FUNC)):
            starts.add(number + immediate + 1)
            asked |= opcode == _LOAD
        asked |= (opcode, source, immediate) == (_CALL, 0, _TAIL_CALL)
    return sorted(starts), asked


def _types(functions: int) -> bytes:
    """1: int; 2: int (void); from 3 on: static functions of that type."""
    names = b"\0int\0" + b"".join(b"f%04d\0" % number for number in range(functions))
    types = struct.pack("=IIII", 1, _INT << 24, 4, 1 << 24 | 32) + struct.pack("=III", 0, _FUNC_PROTO << 24, 1)
    types += b"".join(struct.pack("=III", 5 + 6 * number, _FUNC << 24, 2) for number in range(functions))
    return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names)) + types + names
