"""What the kernel asks for, where: the ground on which privileges are divided (docs/decisions/0072)."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator, Set
from pathlib import Path

import pytest

from hooks.af_packet.fanout import Fanout
from hooks.af_packet.geometry import Geometry
from hooks.af_packet.opening import OpenSockets, open_sockets
from hooks.af_packet.socket import PacketSocket
from hooks.errors import PrivilegeError
from hooks.interfaces.clsact import close_to_host, has_clsact, opening
from hooks.interfaces.ethtool import read_features, set_features
from hooks.interfaces.netdev import find_interface, interface_state, set_up
from hooks.linux import if_packet
from hooks.linux.bpf import BPF_PROG_QUERY, BPF_TCX_INGRESS, bpf, bpf_prog_query
from hooks.linux.capability import CAP_NET_ADMIN, CAP_NET_RAW
from hooks.linux.socket import SO_RCVBUFFORCE, SO_SNDBUFFORCE
from hooks.routing.watch import RoutingWatch
from hooks.sandbox.capabilities import NOBODY, Privileges, drop_privileges
from tests.capabilities import requires
from tests.child import in_child
from tests.netns import Topology

pytestmark = pytest.mark.netns
SMALL = Geometry(receive_slots=64, transmit_slots=32)
CAP_SYS_ADMIN = 21  # stands in for CAP_NET_ADMIN where bpf() is concerned
VNET_HEADER = bytes(10)
FRAME = bytes.fromhex("020000000002020000000001") + b"\x88\xb5" + bytes(46)

Call = Callable[[OpenSockets], object]


def index() -> int:
    return find_interface("outside").index


def set_option(name: int, value: int = 1, level: int = socket.SOL_SOCKET) -> Call:
    return lambda opened: opened.oversize.setsockopt(level, name, value)


def tcx_query(_: OpenSockets) -> None:
    bpf(BPF_PROG_QUERY, bpf_prog_query(target_ifindex=index(), attach_type=BPF_TCX_INGRESS))


def membership(kind: int) -> bytes:
    return bytes(if_packet.packet_mreq(index(), kind))


ADMIN: dict[str, Call] = {
    "SO_RCVBUFFORCE": set_option(SO_RCVBUFFORCE),
    "SO_SNDBUFFORCE": set_option(SO_SNDBUFFORCE),
    "clsact": lambda _: close_to_host("outside", index()),
    "offloads": lambda _: set_features("outside", {"rx-gro": False}),
    "down": lambda _: set_up(find_interface("outside"), False),
    "disable_ipv6": lambda _: Path("/proc/sys/net/ipv6/conf/outside/disable_ipv6").write_text("1"),
}
FREE: dict[str, Call] = {
    "an interface": lambda _: find_interface("outside"),
    "its state": lambda _: interface_state("outside"),
    "its features": lambda _: read_features("outside"),
    "its qdiscs": lambda _: has_clsact("outside", index()),
    "its filters": lambda _: opening(index()),
    "routes": lambda _: RoutingWatch().read(),
    "rings, mapped": lambda opened: PacketSocket.adopt(opened.descriptors, "outside", SMALL).statistics(),
    "a filter": lambda opened: PacketSocket.adopt(opened.descriptors, "outside", SMALL).mute(),
    "time stamps": lambda opened: PacketSocket.adopt(opened.descriptors, "outside", SMALL).stamp(True),
    "promiscuous mode": lambda opened: opened.oversize.setsockopt(
        if_packet.SOL_PACKET, if_packet.PACKET_ADD_MEMBERSHIP, membership(if_packet.PACKET_MR_PROMISC)
    ),
    "past the queueing discipline": set_option(if_packet.PACKET_QDISC_BYPASS, 1, if_packet.SOL_PACKET),
    "sending": lambda opened: opened.oversize.send(VNET_HEADER + FRAME),
}


@pytest.fixture
def net() -> Iterator[Topology]:
    with Topology(ipv6=True) as made, made.box.entered():
        yield made


def refusal(call: Call, keep: Set[int], *, fanout: Fanout | None = None) -> str | None:
    """What a process with those capabilities, and of no user who owns anything, is told."""
    opened = open_sockets("outside", SMALL, fanout=fanout)

    def child() -> str | None:
        drop_privileges(keep, account=NOBODY)
        try:
            call(opened)
        except PrivilegeError as error:
            return str(error.hint)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return None

    try:
        return in_child(child)
    finally:
        opened.close()


def all_but(*capabilities: int) -> frozenset[int]:
    return Privileges.of().effective - {CAP_SYS_ADMIN, *capabilities}


def test_a_packet_socket_is_made_by_net_raw(net: Topology) -> None:
    def make(_: OpenSockets) -> None:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()

    assert refusal(make, all_but(CAP_NET_RAW)) == "EPERM"
    assert refusal(make, {CAP_NET_RAW}) is None


@pytest.mark.parametrize("call", ADMIN.values(), ids=ADMIN)
def test_interfaces_and_buffers_are_net_admins(net: Topology, call: Call) -> None:
    assert refusal(call, all_but(CAP_NET_ADMIN)) in ("EPERM", "EACCES", "needs CAP_NET_ADMIN")
    assert refusal(call, {CAP_NET_ADMIN}) is None


@requires("tcx")
def test_programs_of_tcx_are_told_to_net_admin(net: Topology) -> None:
    assert refusal(tcx_query, all_but(CAP_NET_ADMIN)) == "EPERM"
    assert refusal(tcx_query, {CAP_NET_ADMIN}) is None


def test_a_mark_is_set_by_either(net: Topology) -> None:
    mark = set_option(socket.SO_MARK)
    assert refusal(mark, all_but(CAP_NET_ADMIN, CAP_NET_RAW)) == "EPERM"
    assert refusal(mark, {CAP_NET_ADMIN}) is None
    assert refusal(mark, {CAP_NET_RAW}) is None


@pytest.mark.parametrize("call", FREE.values(), ids=FREE)
def test_the_rest_of_a_boxs_work_needs_nothing(net: Topology, call: Call) -> None:
    assert refusal(call, frozenset()) is None


def bind_rings(opened: OpenSockets) -> None:
    opened.rings.bind(("inside", if_packet.ETH_P_ALL))


ELSEWHERE: dict[str, Call] = {
    "send with an address": lambda opened: opened.oversize.sendto(VNET_HEADER + FRAME, ("inside", 0)),
    "bind": lambda opened: opened.oversize.bind(("inside", 0)),
    "bind the rings": bind_rings,
}


@pytest.mark.parametrize("call", ELSEWHERE.values(), ids=ELSEWHERE)
def test_who_holds_a_packet_socket_may_use_it_elsewhere(net: Topology, call: Call) -> None:
    """What an opener can't keep a box from, and a filter of system calls has to."""
    assert refusal(call, frozenset()) is None


def test_fanout_keeps_rings_where_they_are(net: Topology) -> None:
    assert refusal(bind_rings, frozenset(), fanout=Fanout(1)) == "EINVAL"
