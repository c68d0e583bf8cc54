"""Linux's hooks that see a packet as a `struct __sk_buff`. Verified, never run here.

They have one context, of which each shows some fields, and lets some be written.

Sources: `struct __sk_buff` of include/uapi/linux/bpf.h; bpf_skb_is_valid_access, the *_is_valid_access of each program
type and its helpers in net/core/filter.c; check_return_code of kernel/bpf/verifier.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hooks.contracts.contract import ContextField, ContextLayout, FieldKind
from hooks.contracts.kernel_only import LONG_PARTS, kernel_only_field, kernel_only_hook, u32_fields

_SIZE = 192
_EVERYWHERE = (
    *u32_fields(("len", "pkt_type"), 0),
    *u32_fields(("mark", "queue_mapping", "protocol", "vlan_present", "vlan_tci", "vlan_proto", "priority"), 8),
    *u32_fields(("ingress_ifindex", "ifindex", "tc_index"), 36),
    kernel_only_field("cb", 48, 20, reads=LONG_PARTS),
    *u32_fields(("hash",), 68),
    *u32_fields(("napi_id",), 84),
    *u32_fields(("gso_segs",), 164),
    kernel_only_field("sk", 168, 8, reads=(8,), kind=FieldKind.SOCKET_COMMON_OR_NULL),
    *u32_fields(("gso_size",), 176),
)
_CLASS = u32_fields(("tc_classid",), 72)
_PACKET = (
    kernel_only_field("data", 76, 4, reads=(4,), kind=FieldKind.PACKET_START),
    kernel_only_field("data_end", 80, 4, reads=(4,), kind=FieldKind.PACKET_END),
)
_META = (kernel_only_field("data_meta", 140, 4, reads=(4,), kind=FieldKind.PACKET_META),)
_SOCKET = (
    *u32_fields(("family",), 88),
    *u32_fields(("remote_ip4", "local_ip4"), 92, reads=(4,)),
    kernel_only_field("remote_ip6", 100, 16, reads=(4,)),
    kernel_only_field("local_ip6", 116, 16, reads=(4,)),
    *u32_fields(("remote_port", "local_port"), 132),
)
_TIME = (kernel_only_field("tstamp", 152, 8, reads=(8,)),)
_LENGTH = u32_fields(("wire_len",), 160)
_HARDWARE_TIME = (kernel_only_field("hwtstamp", 184, 8, reads=(8,)),)
_TIME_KIND = (kernel_only_field("tstamp_type", 180, 1, reads=(1,)),)

# How the fields that some program may write are written.
_WRITES: Mapping[str, tuple[int, ...]] = {"cb": LONG_PARTS, "tstamp": (8,)}


def _layout(*groups: tuple[ContextField, ...], writes: tuple[str, ...], without: tuple[str, ...] = ()) -> ContextLayout:
    fields = [
        replace(field, writes=_WRITES.get(field.name, (4,)) if field.name in writes else ())
        for group in groups
        for field in group
        if field.name not in without
    ]
    return ContextLayout("__sk_buff", _SIZE, tuple(sorted(fields, key=lambda field: field.offset)))


_FILTER = _layout(_EVERYWHERE, writes=("cb",))
_CGROUP = _layout(_EVERYWHERE, _PACKET, _SOCKET, _TIME, _HARDWARE_TIME, writes=("mark", "priority", "cb", "tstamp"))
_TUNNEL = _layout(_EVERYWHERE, _PACKET, writes=("mark", "priority", "cb"))
_CONTROL = _layout(
    _EVERYWHERE,
    _CLASS,
    _PACKET,
    _META,
    _TIME,
    _LENGTH,
    _HARDWARE_TIME,
    _TIME_KIND,
    writes=("mark", "tc_index", "priority", "tc_classid", "cb", "tstamp", "queue_mapping"),
)
_STREAM = _layout(_EVERYWHERE, _PACKET, _SOCKET, writes=("tc_index", "priority"), without=("mark",))
_DISSECTOR = _layout(_PACKET, writes=())

_CONTROLS = ("base", "sk_base", "packet", "control", "locks", "legacy_loads", "socket_maps")

SOCKET_FILTER = kernel_only_hook(
    "socket",
    1,
    ("socket", "socket/"),
    _FILTER,
    ("base", "sk_base", "packet", "filter", "legacy_loads", "socket_maps"),
    writes_packet=False,
)
TRAFFIC_CLASS = kernel_only_hook(
    "tc", 3, ("tc", "classifier", "classifier/", "tc/", "tcx/", "netkit/"), _CONTROL, _CONTROLS
)
SK_BUFF_LINUX = (
    SOCKET_FILTER,
    TRAFFIC_CLASS,
    kernel_only_hook("action", 4, ("action", "action/"), _CONTROL, _CONTROLS),
    kernel_only_hook(
        "cgroup_skb/ingress",
        8,
        ("cgroup_skb/ingress", "cgroup/skb"),
        _CGROUP,
        ("base", "sk_base", "packet", "filter", "cgroup", "cgroup_packet", "locks"),
        returns=range(2),
        writes_packet=False,
    ),
    kernel_only_hook(
        "cgroup_skb/egress",
        8,
        ("cgroup_skb/egress",),
        _CGROUP,
        ("base", "sk_base", "packet", "filter", "cgroup", "cgroup_packet", "locks"),
        returns=range(4),
        attach_type=1,  # BPF_CGROUP_INET_EGRESS
        writes_packet=False,
    ),
    kernel_only_hook(
        "lwt_in",
        10,
        ("lwt_in", "lwt_in/"),
        _TUNNEL,
        ("base", "sk_base", "packet", "lwt", "locks", "lwt_encap"),
        writes_packet=False,
    ),
    kernel_only_hook(
        "lwt_out",
        11,
        ("lwt_out", "lwt_out/"),
        _TUNNEL,
        ("base", "sk_base", "packet", "lwt", "locks"),
        writes_packet=False,
    ),
    kernel_only_hook(
        "lwt_xmit",
        12,
        ("lwt_xmit", "lwt_xmit/"),
        _TUNNEL,
        ("base", "sk_base", "packet", "lwt", "locks", "lwt_encap", "lwt_xmit"),
    ),
    kernel_only_hook(
        "lwt_seg6local",
        19,
        ("lwt_seg6local", "lwt_seg6local/"),
        _TUNNEL,
        ("base", "sk_base", "packet", "lwt", "locks", "lwt_seg6"),
        writes_packet=False,
    ),
    kernel_only_hook(
        "sk_skb",
        14,
        ("sk_skb", "sk_skb/"),
        _STREAM,
        ("base", "sk_base", "packet", "filter", "stream", "socket_lookup", "locks"),
    ),
    kernel_only_hook(
        "flow_dissector",
        22,
        ("flow_dissector",),
        _DISSECTOR,
        ("base", "sk_base", "packet", "locks", "socket_maps"),
        writes_packet=False,
    ),
)
