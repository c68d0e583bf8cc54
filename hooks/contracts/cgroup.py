"""Linux's hooks about sockets and control groups that this process has none of. Verified, never run here.

Sources: `struct bpf_sock`, `sk_msg_md`, `sk_reuseport_md`, `bpf_sk_lookup`, `bpf_sockopt`, `bpf_sysctl` and
`bpf_cgroup_dev_ctx` of include/uapi/linux/bpf.h; their *_is_valid_access in net/core/filter.c and kernel/bpf/cgroup.c;
check_return_code of kernel/bpf/verifier.c.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hooks.contracts.contract import ContextField, ContextLayout, FieldKind, HookPoint
from hooks.contracts.kernel_only import PARTS, kernel_only_field, kernel_only_hook, u32_fields

_SWITCH = range(2)

# struct bpf_sock, as a context and as what pointers to sockets point to.
SOCKET_FIELDS: tuple[ContextField, ...] = (
    *u32_fields(("bound_dev_if",), 0, reads=(4,)),
    *u32_fields(("family", "type", "protocol"), 4),
    *u32_fields(("mark", "priority"), 16, reads=(4,)),
    *u32_fields(("src_ip4",), 24),
    kernel_only_field("src_ip6", 28, 16, reads=PARTS),
    *u32_fields(("src_port",), 44),
    kernel_only_field("dst_port", 48, 2, reads=(1, 2)),
    kernel_only_field("dst_port", 48, 4, reads=(4,)),  # with the padding behind it, for programs of old
    *u32_fields(("dst_ip4",), 52),
    kernel_only_field("dst_ip6", 56, 16, reads=PARTS),
    *u32_fields(("state",), 72),
    kernel_only_field("rx_queue_mapping", 76, 4, reads=PARTS),
)
# struct bpf_tcp_sock
_TCP_STATE = (
    "snd_cwnd", "srtt_us", "rtt_min", "snd_ssthresh", "rcv_nxt", "snd_nxt", "snd_una", "mss_cache", "ecn_flags",
    "rate_delivered", "rate_interval_us", "packets_out", "retrans_out", "total_retrans", "segs_in", "data_segs_in",
    "segs_out", "data_segs_out", "lost_out", "sacked_out",
)  # fmt: skip
_TCP_COUNTS = ("dsack_dups", "delivered", "delivered_ce", "icsk_retransmits")

SOCKET = ContextLayout("bpf_sock", 80, SOCKET_FIELDS)
SOCKET_COMMON = ContextLayout(
    "bpf_sock_common",
    80,
    tuple(field for field in SOCKET_FIELDS if field.name not in ("type", "protocol", "mark", "priority")),
)
TCP_SOCKET = ContextLayout(
    "bpf_tcp_sock",
    112,
    tuple(
        kernel_only_field(name, offset, size, reads=(size,))
        for name, offset, size in (
            *((name, 4 * index, 4) for index, name in enumerate(_TCP_STATE)),
            ("bytes_received", 80, 8),
            ("bytes_acked", 88, 8),
            *((name, 96 + 4 * index, 4) for index, name in enumerate(_TCP_COUNTS)),
        )
    ),
)
_OF_ADDRESS = ("src_ip4", "src_ip6", "src_port")
_WRITABLE = ("bound_dev_if", "mark", "priority")
SOCKET_FAMILIES = ("base", "cgroup", "cgroup_current", "retval", "locks", "cgroup_socket")


def socket_context(*addresses: str, whole: bool = False) -> ContextLayout:
    """What a program of one attach type sees of a socket; `whole`: it may change whom it belongs to."""
    hidden = {*_OF_ADDRESS} - {*addresses} | (set() if whole else {*_WRITABLE})
    fields = [
        replace(field, writes=(4,) if field.name in _WRITABLE else ())
        for field in SOCKET_FIELDS
        if field.name not in hidden
    ]
    return ContextLayout("bpf_sock", 80, tuple(fields))


def _socket_hooks() -> Iterable[HookPoint]:
    yield kernel_only_hook(
        "cgroup/sock_release",
        9,
        ("cgroup/sock_release",),
        socket_context(whole=True),
        SOCKET_FAMILIES,
        returns=_SWITCH,
        attach_type=34,
    )


def _option_hooks() -> Iterable[HookPoint]:
    for name, attach_type in (("getsockopt", 21), ("setsockopt", 22)):
        reads = ("level", "optname", "optlen") + (("retval",) if name == "getsockopt" else ())
        writes = ("optlen", "retval") if name == "getsockopt" else ("optlen", "level", "optname")
        numbers = [
            replace(field, writes=(4,) if field.name in writes else ())
            for field in u32_fields(("level", "optname", "optlen", "retval"), 24, reads=(4,))
            if field.name in reads
        ]
        context = ContextLayout(
            "bpf_sockopt",
            40,
            (
                kernel_only_field("sk", 0, 8, reads=(8,), kind=FieldKind.SOCKET),
                kernel_only_field("optval", 8, 8, reads=(8,), kind=FieldKind.PACKET_START),
                kernel_only_field("optval_end", 16, 8, reads=(8,), kind=FieldKind.PACKET_END),
                *numbers,
            ),
        )
        yield kernel_only_hook(
            f"cgroup/{name}",
            25,
            (f"cgroup/{name}",),
            context,
            ("base", "cgroup", "cgroup_current", "retval", "locks", "cgroup_option"),
            returns=_SWITCH,
            attach_type=attach_type,
        )


_MESSAGE = ContextLayout(
    "sk_msg_md",
    80,
    (
        kernel_only_field("data", 0, 8, reads=(8,), kind=FieldKind.PACKET_START),
        kernel_only_field("data_end", 8, 8, reads=(8,), kind=FieldKind.PACKET_END),
        *u32_fields(("family", "remote_ip4", "local_ip4"), 16, reads=(4,)),
        kernel_only_field("remote_ip6", 28, 16, reads=(4,)),
        kernel_only_field("local_ip6", 44, 16, reads=(4,)),
        *u32_fields(("remote_port", "local_port", "size"), 60, reads=(4,)),
        kernel_only_field("sk", 72, 8, reads=(8,), kind=FieldKind.SOCKET),
    ),
)
_REUSEPORT = ContextLayout(
    "sk_reuseport_md",
    56,
    (
        kernel_only_field("data", 0, 8, reads=(8,), kind=FieldKind.PACKET_START),
        kernel_only_field("data_end", 8, 8, reads=(8,), kind=FieldKind.PACKET_END),
        *u32_fields(("len",), 16, reads=(4,)),
        kernel_only_field("eth_protocol", 20, 4, reads=(1, 2, 4)),
        *u32_fields(("ip_protocol", "bind_inany"), 24, reads=(4,)),
        *u32_fields(("hash",), 32),
        kernel_only_field("sk", 40, 8, reads=(8,), kind=FieldKind.SOCKET),
        kernel_only_field("migrating_sk", 48, 8, reads=(8,), kind=FieldKind.SOCKET_COMMON_OR_NULL),
    ),
)
_LOOKUP = ContextLayout(
    "bpf_sk_lookup",
    72,
    (
        kernel_only_field("sk", 0, 8, reads=(8,), kind=FieldKind.SOCKET_OR_NULL),
        *u32_fields(("family", "protocol", "remote_ip4"), 8),
        kernel_only_field("remote_ip6", 20, 16, reads=PARTS),
        kernel_only_field("remote_port", 36, 4, reads=PARTS),
        *u32_fields(("local_ip4",), 40),
        kernel_only_field("local_ip6", 44, 16, reads=PARTS),
        *u32_fields(("local_port", "ingress_ifindex"), 60),
    ),
)
_DEVICE = ContextLayout(
    "bpf_cgroup_dev_ctx", 12, (*u32_fields(("access_type",), 0), *u32_fields(("major", "minor"), 4, reads=(4,)))
)
_SYSCTL = ContextLayout(
    "bpf_sysctl", 8, (*u32_fields(("write",), 0), kernel_only_field("file_pos", 4, 4, reads=PARTS, writes=(4,)))
)

KERNEL_SOCKETS_LINUX: tuple[HookPoint, ...] = (
    *_socket_hooks(),
    *_option_hooks(),
    kernel_only_hook(
        "cgroup/dev",
        15,
        ("cgroup/dev",),
        _DEVICE,
        ("base", "cgroup", "cgroup_current", "retval", "locks", "device"),
        returns=_SWITCH,
    ),
    kernel_only_hook(
        "cgroup/sysctl",
        23,
        ("cgroup/sysctl",),
        _SYSCTL,
        ("base", "cgroup", "cgroup_current", "retval", "locks", "sysctl"),
        returns=_SWITCH,
    ),
    kernel_only_hook("sk_msg", 16, ("sk_msg", "sk_msg/"), _MESSAGE, ("base", "sk_base", "message", "locks")),
    kernel_only_hook(
        "sk_reuseport",
        21,
        ("sk_reuseport", "sk_reuseport/"),
        _REUSEPORT,
        ("base", "reuseport", "locks", "socket_maps"),
        writes_packet=False,
    ),
    kernel_only_hook(
        "sk_lookup",
        30,
        ("sk_lookup", "sk_lookup/"),
        _LOOKUP,
        ("base", "sk_base", "lookup", "locks", "socket_maps"),
        returns=_SWITCH,
        attach_type=36,
    ),
)
