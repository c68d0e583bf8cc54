"""include/uapi/linux/bpf.h: what programs and helpers hand each other about routes and MTUs, and the system call that
asks what is attached where, makes maps, and loads, attaches and runs programs."""

from __future__ import annotations

import ctypes
import os
import platform

NR_BPF = {"x86_64": 321, "aarch64": 280}  # __NR_bpf of asm/unistd.h

BPF_MAP_CREATE = 0
BPF_MAP_LOOKUP_ELEM = 1
BPF_MAP_UPDATE_ELEM = 2
BPF_MAP_DELETE_ELEM = 3
BPF_MAP_GET_NEXT_KEY = 4
BPF_PROG_LOAD = 5
BPF_PROG_TEST_RUN = 10
BPF_PROG_QUERY = 16
BPF_MAP_LOOKUP_AND_DELETE_ELEM = 21
BPF_MAP_FREEZE = 22
BPF_LINK_CREATE = 28

BPF_MAP_TYPE_ARRAY = 2
BPF_F_RDONLY_PROG = 1 << 7
BPF_PROG_TYPE_XDP = 6
BPF_F_TEST_XDP_LIVE_FRAMES = 1 << 1

BPF_TCX_INGRESS = 46
BPF_TCX_EGRESS = 47

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


class bpf_prog_query(ctypes.Structure):
    """`query` of union bpf_attr. `prog_ids` is the address of `prog_cnt` words; the kernel says how many it wrote."""

    _fields_ = (
        ("target_ifindex", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("query_flags", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("prog_ids", ctypes.c_uint64),
        ("prog_cnt", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("prog_attach_flags", ctypes.c_uint64),
        ("link_ids", ctypes.c_uint64),
        ("link_attach_flags", ctypes.c_uint64),
        ("revision", ctypes.c_uint64),
    )


class bpf_map_create(ctypes.Structure):
    """The first fields of union bpf_attr for BPF_MAP_CREATE, which has no name of its own."""

    _fields_ = (
        ("map_type", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
    )


class bpf_map_elem(ctypes.Structure):
    """For BPF_MAP_*_ELEM: `key` and `value` are addresses."""

    _fields_ = (
        ("map_fd", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("key", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
    )


class bpf_prog_load(ctypes.Structure):
    """The first fields for BPF_PROG_LOAD. `insn_cnt` counts slots; `license` and `log_buf` are addresses."""

    _fields_ = (
        ("prog_type", ctypes.c_uint32),
        ("insn_cnt", ctypes.c_uint32),
        ("insns", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_uint64),
        ("kern_version", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_name", ctypes.c_char * 16),
        ("prog_ifindex", ctypes.c_uint32),
        ("expected_attach_type", ctypes.c_uint32),
    )


class bpf_link_create(ctypes.Structure):
    """`link_create` of union bpf_attr, for a control group: `target_fd` is its directory's descriptor."""

    _fields_ = (
        ("prog_fd", ctypes.c_uint32),
        ("target_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    )


class bpf_prog_test_run(ctypes.Structure):
    """`test` of union bpf_attr. The kernel writes `retval` and `duration`, the mean nanoseconds of a run."""

    _fields_ = (
        ("prog_fd", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("data_in", ctypes.c_uint64),
        ("data_out", ctypes.c_uint64),
        ("repeat", ctypes.c_uint32),
        ("duration", ctypes.c_uint32),
        ("ctx_size_in", ctypes.c_uint32),
        ("ctx_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_uint64),
        ("ctx_out", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("cpu", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def bpf(command: int, attributes: ctypes.Structure) -> int:
    """bpf(2). Raises OSError; ENOSYS on a machine whose number for it isn't known here."""
    number = NR_BPF.get(platform.machine(), -1)
    result = int(_libc.syscall(number, command, ctypes.byref(attributes), ctypes.sizeof(attributes)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
