"""Closing an interface to the host's own stack, behind the tap.

      wire ──> [ AF_PACKET taps ] ──> clsact ingress: drop ──x  host stack
      wire <── [ PACKET_QDISC_BYPASS ]      clsact egress: drop  x── host stack

A packet socket sees a frame before clsact does, and one with PACKET_QDISC_BYPASS sends past it; so the box's frames
flow and the host neither hears nor speaks on the wire. Super-frames, which the kernel must cut into segments, can't
take the bypass: they carry a mark (BOX_MARK), and the filter on the way out lets what has it pass.

The filter is a classifier of a few classic BPF instructions in direct-action mode. Classic BPF asks for CAP_NET_ADMIN
alone, not for the bpf() system call that many containers forbid. A clsact that is there already is kept, with its
filters: ours have handles of their own.

The first filter decides. Filters stand by priority, and within a priority the newest is first: so whoever comes later
with a BPF filter at priority 1 stands in front of ours, and what that one passes, the host hears. `opening` finds it.
Ours comes first again by being added anew, under the other one of its two handles, before the old one goes: there is
no moment without it. Programs of tcx come before every clsact: see `hooks.interfaces.tcx`.

Sources: tc-bpf(8), net/sched/cls_bpf.c (`cls_bpf_change` adds at the list's head), `sch_handle_ingress` and
`sch_handle_egress` in net/core/dev.c.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Set
from dataclasses import dataclass

from pyroute2 import IPRoute

from hooks.errors import InterfaceError, PrivilegeError
from hooks.interfaces.netlink import attribute, attributes, dump, request
from hooks.linux import rtnetlink as kernel
from hooks.linux.filter import (
    BPF_ABS,
    BPF_JEQ,
    BPF_JMP,
    BPF_K,
    BPF_LD,
    BPF_RET,
    BPF_W,
    SKF_AD_MARK,
    SKF_AD_OFF,
    sock_filter,
)
from hooks.linux.if_packet import ETH_P_ALL

PRIORITY = 1
HANDLES = (0x7469, 0x746A)  # "ti", "tj"
NAME = b"tidegate-closed\0"
BOX_MARK = 0x74696465  # SO_MARK of frames that the box itself sends through the queueing discipline ("tide")
_DROP = sock_filter(BPF_RET | BPF_K, 0, 0, kernel.TC_ACT_SHOT)
_DIRECTIONS = {kernel.TC_H_MIN_INGRESS: "ingress", kernel.TC_H_MIN_EGRESS: "egress"}
_FILTERS = {
    kernel.TC_H_MIN_INGRESS: (_DROP,),
    kernel.TC_H_MIN_EGRESS: (
        sock_filter(BPF_LD | BPF_W | BPF_ABS, 0, 0, SKF_AD_OFF + SKF_AD_MARK & 0xFFFFFFFF),
        sock_filter(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, BOX_MARK),
        _DROP,
        sock_filter(BPF_RET | BPF_K, 0, 0, kernel.TC_ACT_OK),
    ),
}
_INFO = PRIORITY << 16 | socket.htons(ETH_P_ALL)
_GONE = {errno.ENODEV, errno.ENOENT, errno.EINVAL}  # no interface, no filter, no clsact


def has_clsact(interface: str, index: int) -> bool:
    """Whether the interface has a clsact. Raises InterfaceError if an `ingress` qdisc stands in its place."""
    with IPRoute() as route:
        kinds = {qdisc.get_attr("TCA_KIND") for qdisc in route.get_qdiscs(index=index)}
    if "ingress" in kinds:
        hint = f"remove it with `tc qdisc del dev {interface} ingress`"
        raise InterfaceError("an `ingress` qdisc stands where clsact must be", where=interface, hint=hint)
    return "clsact" in kinds


@dataclass(frozen=True, slots=True)
class _Filter:
    """One filter as it stands at an interface. `options` are those of its kind, by their number."""

    kind: str
    handle: int
    info: int
    options: dict[int, bytes]

    @property
    def has_our_handle(self) -> bool:
        return self.kind == "bpf" and self.info == _INFO and self.handle in HANDLES

    def closes(self, direction: int) -> bool:
        """Whether it is ours, and is as we made it."""
        flags = int.from_bytes(self.options.get(kernel.TCA_BPF_FLAGS, b""), "little")
        return (
            self.has_our_handle
            and self.options.get(kernel.TCA_BPF_OPS) == b"".join(map(bytes, _FILTERS[direction]))
            and bool(flags & kernel.TCA_BPF_FLAG_ACT_DIRECT)
        )

    def __str__(self) -> str:
        return f"a filter of somebody else ({self.kind}, priority {self.info >> 16}, handle {self.handle:#x})"


def opening(index: int) -> str | None:
    """What lets frames through between the interface and the host's stack, in words; None while it is closed.

    Some 0.1 ms: cheap enough to look every half second. Raises OSError.
    """
    for direction, name in _DIRECTIONS.items():
        first = next(_filters(index, direction), None)
        if first is None:
            return f"the filter that shuts the host out is gone from its {name}"
        if not first.closes(direction):
            return f"{first} stands first at its {name}"
    return None


def close_to_host(interface: str, index: int) -> None:
    """Let no frame pass between the interface and the host's stack, whoever else has filters there. Done twice, it
    changes nothing the second time.

    Raises InterfaceError or PrivilegeError.
    """
    flags = kernel.NLM_F_CREATE | kernel.NLM_F_EXCL
    failure = request(kernel.RTM_NEWQDISC, flags, _clsact_address(index), attribute(kernel.TCA_KIND, b"clsact\0"))
    _check(failure, interface, "the kernel has no clsact (CONFIG_NET_SCH_INGRESS)", tolerated={errno.EEXIST})
    for direction in _FILTERS:
        _put_first(interface, index, direction)
    if left := opening(index):
        hint = f"see `tc filter show dev {interface} ingress`, and egress"
        raise InterfaceError(f"it can't be closed to the host's stack: {left}", where=interface, hint=hint)


def _put_first(interface: str, index: int, direction: int) -> None:
    there = list(_filters(index, direction))
    if there and there[0].closes(direction):
        return
    ours = [found.handle for found in there if found.has_our_handle]
    free = next((handle for handle in HANDLES if handle not in ours), HANDLES[0])
    if free in ours:  # both are there, as a process left them that was killed between two steps
        _remove(interface, index, direction, free)
    failure = request(
        kernel.RTM_NEWTFILTER,
        kernel.NLM_F_CREATE | kernel.NLM_F_EXCL,
        _filter_address(index, direction, free),
        _description(direction),
    )
    meaning = f"{there[0]} is in the way at its {_DIRECTIONS[direction]}" if there else "the kernel lacks cls_bpf"
    _check(failure, interface, meaning)
    for handle in ours:
        if handle != free:
            _remove(interface, index, direction, handle)


def open_to_host(interface: str, index: int, remove_clsact: bool) -> None:
    """Undo `close_to_host`; harmless if there is nothing to undo or the interface is gone.

    `remove_clsact` takes clsact away as well, unless somebody else has put filters there meanwhile.
    """
    for direction in _FILTERS:
        for handle in HANDLES:
            _remove(interface, index, direction, handle)
    if remove_clsact and not any(list(_filters(index, direction)) for direction in _FILTERS):
        failure = request(kernel.RTM_DELQDISC, 0, _clsact_address(index))
        _check(failure, interface, "clsact can't be removed", tolerated=_GONE)


def _remove(interface: str, index: int, direction: int, handle: int) -> None:
    failure = request(kernel.RTM_DELTFILTER, 0, _filter_address(index, direction, handle))
    _check(failure, interface, "the drop filter can't be removed", tolerated=_GONE)


def _filters(index: int, direction: int) -> Iterator[_Filter]:
    """The filters that a frame meets in that direction, in that order."""
    asked = kernel.tcmsg(tcm_ifindex=index, tcm_parent=kernel.TC_H_CLSACT_HANDLE | direction)
    for message, given in dump(kernel.RTM_GETTFILTER, asked):
        in_first_chain = int.from_bytes(given.get(kernel.TCA_CHAIN, b""), "little") == 0
        if message.tcm_handle and in_first_chain:  # handle 0: the head of all that have its priority
            kind = given[kernel.TCA_KIND].rstrip(b"\0").decode()
            yield _Filter(kind, message.tcm_handle, message.tcm_info, attributes(given.get(kernel.TCA_OPTIONS, b"")))


def _clsact_address(index: int) -> kernel.tcmsg:
    return kernel.tcmsg(tcm_ifindex=index, tcm_handle=kernel.TC_H_CLSACT_HANDLE, tcm_parent=kernel.TC_H_CLSACT)


def _filter_address(index: int, direction: int, handle: int) -> kernel.tcmsg:
    parent = kernel.TC_H_CLSACT_HANDLE | direction
    return kernel.tcmsg(tcm_ifindex=index, tcm_handle=handle, tcm_parent=parent, tcm_info=_INFO)


def _description(direction: int) -> bytes:
    """The attributes of our filter."""
    instructions = _FILTERS[direction]
    options = (
        attribute(kernel.TCA_BPF_OPS_LEN, struct.pack("=H", len(instructions)))
        + attribute(kernel.TCA_BPF_OPS, b"".join(map(bytes, instructions)))
        + attribute(kernel.TCA_BPF_NAME, NAME)
        + attribute(kernel.TCA_BPF_FLAGS, struct.pack("=I", kernel.TCA_BPF_FLAG_ACT_DIRECT))
    )
    return attribute(kernel.TCA_KIND, b"bpf\0") + attribute(kernel.TCA_OPTIONS, options)


def _check(failure: int, interface: str, meaning: str, tolerated: Set[int] = frozenset()) -> None:
    if not failure or failure in tolerated:
        return
    if failure == errno.EPERM:
        raise PrivilegeError("it can't be closed to the host's stack", where=interface, hint="needs CAP_NET_ADMIN")
    if failure == errno.ENODEV:
        raise InterfaceError("no such interface", where=interface)
    what = f"it can't be closed to the host's stack: {os.strerror(failure)}"
    raise InterfaceError(what, where=interface, hint=meaning)
