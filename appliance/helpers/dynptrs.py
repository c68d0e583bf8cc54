"""A dynptr, as the kernel lays it out: memory of a size that is known only when the program runs.

     0          8            12       16
    ┌──────────┬────────────┬────────┐
    │ data     │ size, type │ offset │     size: 24 bits, type: bits 28 to 30; all zero for one that could not be made
    └──────────┴────────────┴────────┘

Source: `struct bpf_dynptr_kern` of include/linux/bpf.h, kernel/bpf/helpers.c.
"""

from __future__ import annotations

import ctypes

LOCAL, RINGBUF = 1 << 28, 2 << 28  # enum bpf_dynptr_type, in its place
MOST = (1 << 24) - 1  # DYNPTR_MAX_SIZE


class Dynptr(ctypes.Structure):
    _fields_ = (("data", ctypes.c_uint64), ("size", ctypes.c_uint32), ("offset", ctypes.c_uint32))


DYNPTR_SIZE = ctypes.sizeof(Dynptr)
