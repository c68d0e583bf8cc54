"""Closing an interface to the host's own stack, behind the tap.

      wire ──> [ AF_PACKET taps ] ──> clsact ingress: drop ──x  host stack
      wire <── [ PACKET_QDISC_BYPASS ]      clsact egress: drop  x── host stack

A packet socket sees a frame before clsact does, and one with PACKET_QDISC_BYPASS sends past it; so the box's frames
flow and the host neither hears nor speaks on the wire. Super-frames, which the kernel must cut into segments, can't
take the bypass: they carry a mark (BOX_MARK), and the filter on the way out lets what has it pass.

The filter is a classifier of a few classic BPF instructions in direct-action mode. Classic BPF asks for CAP_NET_ADMIN
alone, not for the bpf() system call that many containers forbid. A clsact that is there already is kept, with its
filters: ours have a handle of their own, and one that a killed process left is the same filter and simply replaced.

Sources: tc-bpf(8), net/sched/cls_bpf.c, `sch_handle_ingress` and `sch_handle_egress` in net/core/dev.c. The messages
are written here because pyroute2 can't express the classic form of cls_bpf.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Set

from pyroute2 import IPRoute

from hooks.errors import InterfaceError, PrivilegeError
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
HANDLE = 0x7469  # "ti"
NAME = b"tidegate-closed\0"
BOX_MARK = 0x74696465  # SO_MARK of frames that the box itself sends through the queueing discipline ("tide")
_DROP = sock_filter(BPF_RET | BPF_K, 0, 0, kernel.TC_ACT_SHOT)
_FILTERS = {
    kernel.TC_H_MIN_INGRESS: (_DROP,),
    kernel.TC_H_MIN_EGRESS: (
        sock_filter(BPF_LD | BPF_W | BPF_ABS, 0, 0, SKF_AD_OFF + SKF_AD_MARK & 0xFFFFFFFF),
        sock_filter(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, BOX_MARK),
        _DROP,
        sock_filter(BPF_RET | BPF_K, 0, 0, kernel.TC_ACT_OK),
    ),
}
_GONE = {errno.ENODEV, errno.ENOENT, errno.EINVAL}  # no interface, no filter, no clsact


def has_clsact(interface: str, index: int) -> bool:
    """Whether the interface has a clsact. Raises InterfaceError if an `ingress` qdisc stands in its place."""
    with IPRoute() as route:
        kinds = {qdisc.get_attr("TCA_KIND") for qdisc in route.get_qdiscs(index=index)}
    if "ingress" in kinds:
        hint = f"remove it with `tc qdisc del dev {interface} ingress`"
        raise InterfaceError("an `ingress` qdisc stands where clsact must be", where=interface, hint=hint)
    return "clsact" in kinds


def close_to_host(interface: str, index: int) -> None:
    """Let no frame pass between the interface and the host's stack. Done twice, it changes nothing the second time.

    Raises InterfaceError or PrivilegeError.
    """
    flags = kernel.NLM_F_CREATE | kernel.NLM_F_EXCL
    failure = _request(kernel.RTM_NEWQDISC, flags, _clsact_address(index), _attribute(kernel.TCA_KIND, b"clsact\0"))
    _check(failure, interface, "the kernel has no clsact (CONFIG_NET_SCH_INGRESS)", tolerated={errno.EEXIST})
    for direction, instructions in _FILTERS.items():
        options = (
            _attribute(kernel.TCA_BPF_OPS_LEN, struct.pack("=H", len(instructions)))
            + _attribute(kernel.TCA_BPF_OPS, b"".join(map(bytes, instructions)))
            + _attribute(kernel.TCA_BPF_NAME, NAME)
            + _attribute(kernel.TCA_BPF_FLAGS, struct.pack("=I", kernel.TCA_BPF_FLAG_ACT_DIRECT))
        )
        attributes = _attribute(kernel.TCA_KIND, b"bpf\0") + _attribute(kernel.TCA_OPTIONS, options)
        flags = kernel.NLM_F_CREATE | kernel.NLM_F_REPLACE
        failure = _request(kernel.RTM_NEWTFILTER, flags, _filter_address(index, direction), attributes)
        _check(failure, interface, "clsact has a filter of another kind at priority 1 or the kernel lacks cls_bpf")


def open_to_host(interface: str, index: int, remove_clsact: bool) -> None:
    """Undo `close_to_host`; harmless if there is nothing to undo or the interface is gone.

    `remove_clsact` takes clsact away as well, unless somebody else has put filters there meanwhile.
    """
    for direction in _FILTERS:
        failure = _request(kernel.RTM_DELTFILTER, 0, _filter_address(index, direction))
        _check(failure, interface, "the drop filter can't be removed", tolerated=_GONE)
    if remove_clsact and not _has_filters(index):
        failure = _request(kernel.RTM_DELQDISC, 0, _clsact_address(index))
        _check(failure, interface, "clsact can't be removed", tolerated=_GONE)


def _has_filters(index: int) -> bool:
    with IPRoute() as route:
        return any(
            entry for direction in _FILTERS for entry in route.get_filters(index=index, parent=0xFFFF0000 | direction)
        )


def _clsact_address(index: int) -> kernel.tcmsg:
    return kernel.tcmsg(tcm_ifindex=index, tcm_handle=kernel.TC_H_CLSACT_HANDLE, tcm_parent=kernel.TC_H_CLSACT)


def _filter_address(index: int, direction: int) -> kernel.tcmsg:
    return kernel.tcmsg(
        tcm_ifindex=index,
        tcm_handle=HANDLE,
        tcm_parent=kernel.TC_H_CLSACT_HANDLE | direction,
        tcm_info=PRIORITY << 16 | socket.htons(ETH_P_ALL),
    )


def _attribute(kind: int, value: bytes) -> bytes:
    """`struct rtattr`: length (itself included) and type, 16 bits each in host order, then the value, padded to 4."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _request(kind: int, flags: int, address: kernel.tcmsg, attributes: bytes = b"") -> int:
    """Send one rtnetlink request in this thread's namespace; return 0 or the errno of the answer."""
    body = bytes(address) + attributes
    head = kernel.nlmsghdr(
        nlmsg_len=ctypes.sizeof(kernel.nlmsghdr) + len(body),
        nlmsg_type=kind,
        nlmsg_flags=kernel.NLM_F_REQUEST | kernel.NLM_F_ACK | flags,
        nlmsg_seq=1,
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as rtnetlink:
        rtnetlink.send(bytes(head) + body)
        answer = rtnetlink.recv(65536)
    return -int(kernel.nlmsgerr.from_buffer_copy(answer, ctypes.sizeof(kernel.nlmsghdr)).error)


def _check(failure: int, interface: str, meaning: str, tolerated: Set[int] = frozenset()) -> None:
    if not failure or failure in tolerated:
        return
    if failure == errno.EPERM:
        raise PrivilegeError("it can't be closed to the host's stack", where=interface, hint="needs CAP_NET_ADMIN")
    if failure == errno.ENODEV:
        raise InterfaceError("no such interface", where=interface)
    what = f"it can't be closed to the host's stack: {os.strerror(failure)}"
    raise InterfaceError(what, where=interface, hint=meaning)
