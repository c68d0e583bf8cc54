"""A program of tcx at an interface: what others attach in front of a box. Needs root and Linux 6.6.

Sources: union bpf_attr and struct bpf_prog_info of include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from hooks.interfaces.netns import Namespace
from hooks.linux.bpf import BPF_PROG_QUERY, BPF_TCX_EGRESS, BPF_TCX_INGRESS
from tests.kernel_bpf import BPF_PROG_LOAD, _bpf
from tests.netns import run_inside

BPF_PROG_ATTACH, BPF_PROG_DETACH, BPF_OBJ_GET_INFO_BY_FD = 8, 9, 15
BPF_PROG_TYPE_SCHED_CLS = 3
PLACES = {"ingress": BPF_TCX_INGRESS, "egress": BPF_TCX_EGRESS}
NEXT = bytes.fromhex("b7000000ffffffff 9500000000000000")  # r0 = TCX_NEXT; exit: the next one decides


@contextmanager
def attached_to_tcx(place: Namespace, interface: str, direction: str) -> Iterator[int]:
    """Such a program at the interface; the block is given its id."""

    def change(command: int) -> None:
        index = socket.if_nametoindex(interface)
        _bpf(command, struct.pack("=IIII", index, descriptor, PLACES[direction], 0))

    descriptor = _load()
    try:
        run_inside(place, lambda: change(BPF_PROG_ATTACH))
        try:
            yield _id(descriptor)
        finally:
            run_inside(place, lambda: change(BPF_PROG_DETACH))
    finally:
        os.close(descriptor)


def lack_of_tcx() -> str | None:
    """What the kernel says to a question about the loopback interface; None if it answers."""
    try:
        _bpf(BPF_PROG_QUERY, struct.pack("=II", socket.if_nametoindex("lo"), BPF_TCX_INGRESS))
    except OSError as error:
        return f"the kernel does not say what is attached to tcx: {error.strerror}"
    return None


def _load() -> int:
    code, licence = ctypes.create_string_buffer(NEXT, len(NEXT)), ctypes.create_string_buffer(b"GPL")
    places = ctypes.addressof(code), ctypes.addressof(licence)
    descriptor, _ = _bpf(BPF_PROG_LOAD, struct.pack("=IIQQ", BPF_PROG_TYPE_SCHED_CLS, len(NEXT) // 8, *places))
    return descriptor


def _id(descriptor: int) -> int:
    info = ctypes.create_string_buffer(64)
    _bpf(BPF_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", descriptor, len(info), ctypes.addressof(info)))
    return int(struct.unpack_from("=II", info)[1])
