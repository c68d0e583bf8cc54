"""linux/filter.h and bpf_common.h: classic BPF, the small filter language of sockets and classifiers."""

from __future__ import annotations

import ctypes

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
SO_DETACH_FILTER = 27

# An instruction's code: what it does, how wide, and on what.
BPF_LD, BPF_JMP, BPF_RET = 0x00, 0x05, 0x06
BPF_W, BPF_H = 0x00, 0x08
BPF_ABS, BPF_K, BPF_JEQ = 0x20, 0x00, 0x10

# Offsets that load what the kernel knows of a packet instead of its bytes.
SKF_AD_OFF = -0x1000
SKF_AD_MARK = 20


class sock_filter(ctypes.Structure):
    """One instruction. `jt` and `jf` are how many to skip after a comparison that is true or false."""

    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class sock_fprog(ctypes.Structure):
    """A program."""

    _fields_ = (("len", ctypes.c_uint16), ("filter", ctypes.POINTER(sock_filter)))
