"""include/uapi/linux/bpf.h: what programs and helpers hand each other about routes and MTUs."""

from __future__ import annotations

import ctypes

BPF_FIB_LOOKUP_DIRECT = 1 << 0
BPF_FIB_LOOKUP_OUTPUT = 1 << 1
BPF_FIB_LOOKUP_SKIP_NEIGH = 1 << 2
BPF_FIB_LOOKUP_TBID = 1 << 3
BPF_FIB_LOOKUP_SRC = 1 << 4
BPF_FIB_LOOKUP_MARK = 1 << 5
BPF_FIB_LOOKUP_MASK = (1 << 6) - 1

BPF_FIB_LKUP_RET_SUCCESS = 0
BPF_FIB_LKUP_RET_BLACKHOLE = 1
BPF_FIB_LKUP_RET_UNREACHABLE = 2
BPF_FIB_LKUP_RET_PROHIBIT = 3
BPF_FIB_LKUP_RET_NOT_FWDED = 4
BPF_FIB_LKUP_RET_FWD_DISABLED = 5
BPF_FIB_LKUP_RET_UNSUPP_LWT = 6
BPF_FIB_LKUP_RET_NO_NEIGH = 7
BPF_FIB_LKUP_RET_FRAG_NEEDED = 8
BPF_FIB_LKUP_RET_NO_SRC_ADDR = 9

BPF_MTU_CHK_RET_SUCCESS = 0
BPF_MTU_CHK_RET_FRAG_NEEDED = 1


class bpf_fib_lookup(ctypes.Structure):
    """One question and its answer, 64 bytes. Addresses and ports in network order, all else in the host's.

    The kernel's unions have the name of their first member here: `tot_len` is `mtu_result` afterwards, `tos` is the
    first byte of `flowinfo` and of `rt_metric`, an IPv4 address is the first word of an IPv6 one, `tbid` is
    `h_vlan_proto` and `h_vlan_TCI`, and `mark` lies where `smac` is put.
    """

    _fields_ = (
        ("family", ctypes.c_uint8),
        ("l4_protocol", ctypes.c_uint8),
        ("sport", ctypes.c_uint16),
        ("dport", ctypes.c_uint16),
        ("tot_len", ctypes.c_uint16),
        ("ifindex", ctypes.c_uint32),
        ("rt_metric", ctypes.c_uint32),
        ("src", ctypes.c_uint32 * 4),
        ("dst", ctypes.c_uint32 * 4),
        ("tbid", ctypes.c_uint32),
        ("mark", ctypes.c_uint32),
        ("smac_end", ctypes.c_uint8 * 2),
        ("dmac", ctypes.c_uint8 * 6),
    )
