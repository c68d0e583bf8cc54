"""linux/filter.h and bpf_common.h: classic BPF, the small filter language of sockets and classifiers."""

from __future__ import annotations

import ctypes

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
SO_DETACH_FILTER = 27

# An instruction's code: what it does, how wide, and on what.
BPF_LD, BPF_LDX, BPF_ST, BPF_STX = 0x00, 0x01, 0x02, 0x03
BPF_ALU, BPF_JMP, BPF_RET, BPF_MISC = 0x04, 0x05, 0x06, 0x07
BPF_W, BPF_H, BPF_B = 0x00, 0x08, 0x10
BPF_IMM, BPF_ABS, BPF_IND, BPF_MEM = 0x00, 0x20, 0x40, 0x60
BPF_ADD, BPF_MUL, BPF_AND, BPF_RSH, BPF_XOR = 0x00, 0x20, 0x50, 0x70, 0xA0
BPF_JEQ, BPF_JGE, BPF_JSET = 0x10, 0x30, 0x40
BPF_K, BPF_X, BPF_A = 0x00, 0x08, 0x10
BPF_TAX, BPF_TXA = 0x00, 0x80

# Offsets that load what the kernel knows of a packet instead of its bytes.
SKF_AD_OFF = -0x1000
SKF_AD_PROTOCOL = 0
SKF_AD_MARK = 20
SKF_NET_OFF = -0x100000  # added to an offset: it counts from the network header on


class sock_filter(ctypes.Structure):
    """One instruction. `jt` and `jf` are how many to skip after a comparison that is true or false."""

    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class sock_fprog(ctypes.Structure):
    """A program."""

    _fields_ = (("len", ctypes.c_uint16), ("filter", ctypes.POINTER(sock_filter)))
