"""Linux's own eBPF as an engine: load a program, run it once on a frame (BPF_PROG_TEST_RUN). Needs root.

Sources: `union bpf_attr` of include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.kernel_functions import with_functions

BPF_PROG_LOAD = 5
BPF_PROG_TEST_RUN = 10
BPF_PROG_TYPE_XDP = 6
SYS_BPF = {"x86_64": 321, "aarch64": 280}
ROOM = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class KernelRefused(Exception):
    """The kernel's verifier said no; the message is its log."""


@dataclass(frozen=True, slots=True)
class KernelRun:
    """r0's low 32 bits, and the frame afterwards."""

    result: int
    frame: bytes


def run_in_kernel(slots: bytes, frame: bytes) -> KernelRun:
    """One XDP program on one frame of at least 14 bytes. Raises KernelRefused."""
    with loaded_in_kernel(slots) as descriptor:
        return run_loaded(descriptor, frame)


@contextmanager
def loaded_in_kernel(slots: bytes) -> Iterator[int]:
    """One XDP program, as a file descriptor. Raises KernelRefused."""
    code, log, licence = (ctypes.create_string_buffer(data, size) for data, size in _buffers(slots))
    load = struct.pack(
        "=IIQQIIQII",
        BPF_PROG_TYPE_XDP,
        len(slots) // 8,
        ctypes.addressof(code),
        ctypes.addressof(licence),
        1,
        len(log),
        ctypes.addressof(log),
        0,
        0,
    )
    try:
        with with_functions(load, slots) as attributes:
            descriptor, _ = _bpf(BPF_PROG_LOAD, attributes)
    except OSError as error:
        raise KernelRefused(f"{error.strerror}: {log.value.decode()}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def run_loaded(descriptor: int, frame: bytes) -> KernelRun:
    """One run of a program that is loaded."""
    before = ctypes.create_string_buffer(frame, len(frame))
    after = ctypes.create_string_buffer(ROOM)
    places = ctypes.addressof(before), ctypes.addressof(after)
    test = struct.pack("=IIIIQQII", descriptor, 0, len(frame), ROOM, *places, 1, 0)
    _, answer = _bpf(BPF_PROG_TEST_RUN, test)
    _, result, _, size = struct.unpack_from("=IIII", answer)
    return KernelRun(result, after.raw[:size])


def _buffers(slots: bytes) -> tuple[tuple[bytes, int], ...]:
    return (slots, len(slots)), (b"", 1 << 18), (b"GPL", 4)


def _bpf(command: int, attributes: bytes) -> tuple[int, bytes]:
    """The call's answer, and the attributes as the kernel leaves them. Raises OSError."""
    memory = ctypes.create_string_buffer(attributes, 128)
    answer = _libc.syscall(SYS_BPF[platform.machine()], command, memory, len(memory))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer, memory.raw
