"""The XDP hook: a program sees a whole frame before anybody else does, and decides what becomes of it.

Sources: `struct xdp_md` and `enum xdp_action` of include/uapi/linux/bpf.h; `xdp_md_t` of eBPF for Windows.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum
from functools import partial

from hooks.contracts.contract import ContextField, ContextLayout, FieldKind, HookPoint, HostContext, Verdict
from hooks.contracts.kernel_only import with_kernel_contract


class RedirectKind(IntEnum):
    """What a REDIRECT verdict sends to: what `redirect_kind` says of the frame's target."""

    INTERFACE = 0  # that of `redirect_ifindex`; 0 is none
    PROCESSOR = 1
    EVERY_INTERFACE = 2  # in the map at `redirect_map`
    EVERY_OTHER_INTERFACE = 3  # likewise, without the one that the frame came by


# In the place of an interface's index, in a map of interfaces that a frame is sent to: wherever it goes when it passes.
# No kernel has it, whose indices are below 2**31; only whoever fills the maps of a box writes it.
ACROSS = 0xFFFFFFFF


class FrameContext(HostContext):
    """The context in this process's memory, one per worker, filled in for each frame.

        hard_start      data_meta   data                 data_end          hard_end
            | headroom      |  meta  |  the frame            |  tailroom       |
            +---------------+--------+-----------------------+-----------------+

    `data_meta == data` while a program has asked for no metadata. The fields `redirect_…` say where a REDIRECT verdict
    sends the frame: `redirect_kind` is a RedirectKind; `redirect_map` and `redirect_next` are the addresses of a map of
    interfaces and of the native function that goes through it. `routing` and `cookies` are the addresses of routing
    tables and of the secrets of SYN cookies, 0 if there are none.
    """

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("data_end", ctypes.c_uint64),
        ("data_meta", ctypes.c_uint64),
        ("hard_start", ctypes.c_uint64),
        ("hard_end", ctypes.c_uint64),
        ("ingress_ifindex", ctypes.c_uint32),
        ("rx_queue_index", ctypes.c_uint32),
        ("egress_ifindex", ctypes.c_uint32),
        ("redirect_ifindex", ctypes.c_uint32),
        ("redirect_kind", ctypes.c_uint32),
        ("redirect_map", ctypes.c_uint64),
        ("redirect_next", ctypes.c_uint64),
        ("routing", ctypes.c_uint64),
        ("cookies", ctypes.c_uint64),
    )


_field = partial(ContextField.of, FrameContext)

_XDP_LINUX = HookPoint(
    name="xdp",
    platform="linux",
    program_type=6,  # BPF_PROG_TYPE_XDP
    sections=("xdp", "xdp/", "xdp.frags", "xdp.frags/"),
    host=FrameContext,
    context=ContextLayout(
        name="xdp_md",
        size=24,
        fields=(
            _field("data", 0, 4, FieldKind.PACKET_START),
            _field("data_end", 4, 4, FieldKind.PACKET_END),
            _field("data_meta", 8, 4, FieldKind.PACKET_META),
            _field("ingress_ifindex", 12, 4),
            _field("rx_queue_index", 16, 4),
            _field("egress_ifindex", 20, 4),
        ),
    ),
    verdicts={0: Verdict.ABORTED, 1: Verdict.DROP, 2: Verdict.PASS, 3: Verdict.TX, 4: Verdict.REDIRECT},
    otherwise=Verdict.ABORTED,
    families=frozenset({"general", "xdp"}),
    any_return=True,
)
XDP_LINUX = with_kernel_contract(_XDP_LINUX, "base", "sk_base", "frame", "locks", "socket_maps")

XDP_WINDOWS = HookPoint(
    name="xdp",
    platform="windows",
    program_type=1,
    sections=("xdp", "xdp/"),
    host=FrameContext,
    context=ContextLayout(
        name="xdp_md_t",
        size=32,
        fields=(
            _field("data", 0, 8, FieldKind.PACKET_START),
            _field("data_end", 8, 8, FieldKind.PACKET_END),
            _field("data_meta", 16, 8, FieldKind.PACKET_META),
            _field("ingress_ifindex", 24, 4),
        ),
    ),
    verdicts={1: Verdict.PASS, 2: Verdict.DROP, 3: Verdict.TX},
    otherwise=Verdict.DROP,
    families=frozenset({"general", "xdp"}),
)
