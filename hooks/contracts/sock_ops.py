"""The sockops hook: something happened to a connection.

Windows tells of three things (established by this side, by the other side, deleted). Linux tells of many moments in
the life of a TCP connection (BPF_SOCK_OPS_*), and may be answered by a number in `reply`.

Sources: `struct bpf_sock_ops` of include/uapi/linux/bpf.h, sock_ops_is_valid_access of net/core/filter.c;
`bpf_sock_ops_t` of the public headers of eBPF for Windows (v1.6).
"""

from __future__ import annotations

import ctypes
from functools import partial

from hooks.contracts.contract import Answer, ContextField, ContextLayout, FieldKind, HookPoint
from hooks.contracts.kernel_only import kernel_only_field, with_kernel_contract
from hooks.contracts.task import SOCKET_FACTS, SocketContext


class Outcome(Answer):
    """Whether the program did what it was called for. On Linux `reply` counts only if it did."""

    DONE = "done"
    FAILED = "failed"


# What Linux tells of the connection, as the kernel lays it out: 4 bytes each from this offset on.
_FIRST_STATE = 72
_LINUX_STATE = (
    "is_fullsock", "snd_cwnd", "srtt_us", "bpf_sock_ops_cb_flags", "state", "rtt_min", "snd_ssthresh", "rcv_nxt",
    "snd_nxt", "snd_una", "mss_cache", "ecn_flags", "rate_delivered", "rate_interval_us", "packets_out", "retrans_out",
    "total_retrans", "segs_in", "data_segs_in", "segs_out", "data_segs_out", "lost_out", "sacked_out",
)  # fmt: skip


class SockOpsContext(SocketContext):
    """The context in this process's memory, for both platforms. `args` are what Linux passes to the program, and its
    first word is `reply`. `flow_id` is the number that get_flow_id answers."""

    _fields_ = (
        ("flow_id", ctypes.c_uint64),
        ("interface_luid", ctypes.c_uint64),
        ("bytes_received", ctypes.c_uint64),
        ("bytes_acked", ctypes.c_uint64),
        ("skb_hwtstamp", ctypes.c_uint64),
        ("op", ctypes.c_uint32),
        ("family", ctypes.c_uint32),
        ("args", ctypes.c_uint32 * 4),
        ("remote_ip4", ctypes.c_uint32),
        ("local_ip4", ctypes.c_uint32),
        ("remote_ip6", ctypes.c_uint8 * 16),
        ("local_ip6", ctypes.c_uint8 * 16),
        ("remote_port", ctypes.c_uint32),
        ("local_port", ctypes.c_uint32),
        ("protocol", ctypes.c_uint32),
        ("compartment_id", ctypes.c_uint32),
        *((name, ctypes.c_uint32) for name in _LINUX_STATE),
        ("sk_txhash", ctypes.c_uint32),
        ("skb_len", ctypes.c_uint32),
        ("skb_tcp_flags", ctypes.c_uint32),
    )


_field = partial(ContextField.of, SockOpsContext)
_word = partial(_field, size=4, reads=(4,))
_long = partial(_field, size=8, reads=(8,))

# `remote_port` is in network byte order and `local_port` in this machine's, as the kernel has it.
_SOCK_OPS_LINUX = HookPoint(
    name="sockops",
    platform="linux",
    program_type=13,  # BPF_PROG_TYPE_SOCK_OPS
    sections=("sockops",),
    host=SockOpsContext,
    context=ContextLayout(
        name="bpf_sock_ops",
        size=224,
        fields=(
            _word("op", 0),
            _word("reply", 4, host="args", writes=(4,)),
            _field("args", 4, 16, reads=(4,)),
            _word("family", 20),
            _word("remote_ip4", 24),
            _word("local_ip4", 28),
            _field("remote_ip6", 32, 16, reads=(4,)),
            _field("local_ip6", 48, 16, reads=(4,)),
            _word("remote_port", 64),
            _word("local_port", 68),
            *(_word(name, _FIRST_STATE + 4 * index) for index, name in enumerate(_LINUX_STATE)),
            _word("sk_txhash", 164, writes=(4,)),
            _long("bytes_received", 168),
            _long("bytes_acked", 176),
            _word("skb_len", 208),
            _word("skb_tcp_flags", 212),
            _long("skb_hwtstamp", 216),
        ),
    ),
    verdicts={0: Outcome.FAILED, 1: Outcome.DONE},
    otherwise=Outcome.FAILED,
    families=frozenset({"general", "socket"}),
    helper_inputs=SOCKET_FACTS,
    defaults={"is_fullsock": 1},
    attach_type=3,  # BPF_CGROUP_SOCK_OPS
)
SOCK_OPS_LINUX = with_kernel_contract(
    _SOCK_OPS_LINUX,
    *("base", "sk_base", "cgroup", "locks", "socket_options", "sock_ops"),
    fields=(
        kernel_only_field("sk", 184, 8, reads=(8,), kind=FieldKind.SOCKET_OR_NULL),
        kernel_only_field("skb_data", 192, 8, reads=(8,), kind=FieldKind.PACKET_START),
        kernel_only_field("skb_data_end", 200, 8, reads=(8,), kind=FieldKind.PACKET_END),
    ),
    writes_packet=False,
)

SOCK_OPS_WINDOWS = HookPoint(
    name="sockops",
    platform="windows",
    program_type=4,
    sections=("sockops", "sockops/"),
    host=SockOpsContext,
    context=ContextLayout(
        name="bpf_sock_ops_t",
        size=64,
        fields=(
            _field("op", 0, 4),
            _field("family", 4, 4),
            _field("local_ip4", 8, 4, host="local_ip6"),
            _field("local_ip6", 8, 16),
            _field("local_port", 24, 4),
            _field("remote_ip4", 28, 4, host="remote_ip6"),
            _field("remote_ip6", 28, 16),
            _field("remote_port", 44, 4),
            _field("protocol", 48, 1),
            _field("compartment_id", 52, 4),
            _field("interface_luid", 56, 8),
        ),
    ),
    verdicts={0: Outcome.DONE},
    otherwise=Outcome.FAILED,
    families=frozenset({"general", "socket", "sock_ops"}),
    any_return=True,
    helper_inputs=(*SOCKET_FACTS, "flow_id"),
)
