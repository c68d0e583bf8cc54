"""Opening the two sockets of a PacketSocket, bound to one interface, with their rings but nothing mapped: all of it
that needs privilege, so that another process may use them that has none.

    socket(AF_PACKET)                                  CAP_NET_RAW
    SO_RCVBUFFORCE, SO_SNDBUFFORCE, SO_MARK            CAP_NET_ADMIN
    rings, bind, fanout, promiscuous mode, filters     none: whoever holds the descriptor may

The last line counts twice: whoever is given such a socket may also bind the one without rings to another interface of
the network namespace, and send there (net/packet/af_packet.c asks for a capability where a socket is made, nowhere
else). What keeps a process from that is a filter of its system calls.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from hooks.af_packet.fanout import NEW_GROUP, Fanout, flow_program
from hooks.af_packet.geometry import Geometry
from hooks.errors import HookError, InterfaceError, PrivilegeError
from hooks.interfaces.clsact import BOX_MARK
from hooks.linux import if_packet as kernel
from hooks.linux.filter import BPF_K, BPF_RET, SO_ATTACH_FILTER, sock_filter, sock_fprog
from hooks.linux.socket import SO_RCVBUFFORCE, SO_SNDBUFFORCE

QUEUE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class OpenSockets:
    """`rings` has the rings; `oversize` sends what no slot holds. Closing twice is harmless. For one thread."""

    rings: socket.socket
    oversize: socket.socket

    @classmethod
    def of(cls, rings: int, oversize: int) -> OpenSockets:
        """Those of descriptors that somebody else opened, and that are this object's from now on."""
        return cls(*(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0, fileno=each) for each in (rings, oversize)))

    @property
    def descriptors(self) -> tuple[int, int]:
        """In the order in which `of` takes them."""
        return self.rings.fileno(), self.oversize.fileno()

    def close(self) -> None:
        self.rings.close()
        self.oversize.close()


def open_sockets(
    interface: str, geometry: Geometry, *, fanout: Fanout | None = None, muted: bool = False
) -> OpenSockets:
    """Open and bind both: see PacketSocket. Raises InterfaceError, PrivilegeError or HookError."""
    with ExitStack() as undo:
        try:
            opened = OpenSockets(*(undo.enter_context(_packet_socket()) for _ in range(2)))
            if muted:
                accept_nothing(opened.rings)
            _make_rings(opened, geometry)
            _bind(opened, interface)
            if fanout is not None:
                _join(opened.rings, fanout)
        except OSError as error:
            raise no_rings(interface, error) from error
        undo.pop_all()
    return opened


def _packet_socket() -> socket.socket:
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError as error:
        raise PrivilegeError("packet sockets need CAP_NET_RAW", hint="run as root") from error


def no_rings(interface: str, error: OSError) -> HookError:
    """What kept the kernel from giving rings, as an error of ours."""
    if isinstance(error, PermissionError):
        return PrivilegeError("packet rings need CAP_NET_RAW and CAP_NET_ADMIN", hint="run as root")
    return InterfaceError(f"no packet rings: {error.strerror}", where=interface)


def accept_nothing(rings: socket.socket) -> None:
    """A filter that lets no frame in; frames leave as before."""
    nothing = (sock_filter * 1)(sock_filter(BPF_RET | BPF_K, 0, 0, 0))
    rings.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(sock_fprog(len(nothing), nothing)))


def _make_rings(opened: OpenSockets, geometry: Geometry) -> None:
    set_option = opened.rings.setsockopt
    set_option(kernel.SOL_PACKET, kernel.PACKET_VERSION, kernel.TPACKET_V2)
    set_option(kernel.SOL_PACKET, kernel.PACKET_RESERVE, geometry.headroom)
    set_option(kernel.SOL_PACKET, kernel.PACKET_COPY_THRESH, 1)
    set_option(kernel.SOL_PACKET, kernel.PACKET_LOSS, 1)  # a frame that can't be sent must not stall the ring
    set_option(kernel.SOL_PACKET, kernel.PACKET_IGNORE_OUTGOING, 1)
    set_option(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_BYTES)
    set_option(kernel.SOL_PACKET, kernel.PACKET_QDISC_BYPASS, 1)
    opened.oversize.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, BOX_MARK)  # no bypass: the kernel may have to segment
    for each in (opened.rings, opened.oversize):
        each.setsockopt(kernel.SOL_PACKET, kernel.PACKET_VNET_HDR, 1)
        each.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, QUEUE_BYTES)
    set_option(kernel.SOL_PACKET, kernel.PACKET_RX_RING, bytes(geometry.receive))
    set_option(kernel.SOL_PACKET, kernel.PACKET_TX_RING, bytes(geometry.transmit))


def _bind(opened: OpenSockets, interface: str) -> None:
    opened.rings.bind((interface, kernel.ETH_P_ALL))
    opened.oversize.bind((interface, 0))
    membership = kernel.packet_mreq(socket.if_nametoindex(interface), kernel.PACKET_MR_PROMISC)
    opened.rings.setsockopt(kernel.SOL_PACKET, kernel.PACKET_ADD_MEMBERSHIP, bytes(membership))


def _join(rings: socket.socket, fanout: Fanout) -> None:
    # inside a group PACKET_IGNORE_OUTGOING has no effect; the group has a flag of its own for it
    kind = kernel.PACKET_FANOUT_CBPF | kernel.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
    number = fanout.group
    if number == NEW_GROUP:
        kind, number = kind | kernel.PACKET_FANOUT_FLAG_UNIQUEID, 0
    rings.setsockopt(kernel.SOL_PACKET, kernel.PACKET_FANOUT, number | kind << 16)
    if fanout.group == NEW_GROUP:  # the group has one program, which the kernel copies
        code = flow_program(fanout.key)
        program = sock_fprog(len(code), code)
        rings.setsockopt(kernel.SOL_PACKET, kernel.PACKET_FANOUT_DATA, bytes(program))
