"""sendto(2), sendmsg(2) and sendmmsg(2): datagrams with an address are judged, and sent from a copy of theirs.

As in the kernel (udp_sendmsg), a datagram without an address goes where the socket is connected to, which connect(2)
has judged; and an IPv4 address in IPv6 clothes is one of IPv4 here.
"""

from __future__ import annotations

import ctypes
import errno
import socket as sockets
import struct
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from appliance.guard.addresses import AF_INET, AF_INET6, AF_UNSPEC, SHORTEST, SocketAddress
from appliance.guard.hooks import Call
from appliance.guard.seccomp.calls.connect import connect_by_sending
from appliance.guard.seccomp.office import Office
from appliance.guard.seccomp.request import Request, Result
from appliance.guard.seccomp.watched import MSG_FASTOPEN
from hooks.linux.socket import mmsghdr
from hooks.seccomp.capabilities import only_capabilities
from hooks.seccomp.messages import LONGEST_DATAGRAM, UIO_MAXIOV, Message
from hooks.seccomp.privileges import capabilities_over
from hooks.seccomp.sockets import Duplicate
from hooks.seccomp.threads import read_memory, write_memory

IPPROTO_UDPLITE = 136
IP_PKTINFO = 8  # linux/in.h
VECTOR = ctypes.sizeof(mmsghdr)
VECTOR_LENGTH: int = mmsghdr.msg_len.offset
_MAPPED = bytes(10) + b"\xff\xff"
_CMSGHDR = struct.Struct("=Qii")  # cmsg_len, cmsg_level, cmsg_type


def sendto(office: Office, request: Request) -> Result:
    """sendto(descriptor, data, length, flags, address, length)"""
    if not _judged_here(office, request):
        return _other(office, request, request.number(3))
    arguments, thread = request.notification.arguments, request.caller.thread
    address = request.address(4, 5)
    data = read_memory(thread, arguments[1], min(arguments[2], LONGEST_DATAGRAM))
    request.check_waits()
    return _send(office, request, Message(address, data, b""), request.number(3))


def sendmsg(office: Office, request: Request) -> Result:
    """sendmsg(descriptor, message, flags)"""
    if not _judged_here(office, request):
        return _other(office, request, request.number(2))
    message = Message.of(request.caller.thread, request.notification.arguments[1])
    request.check_waits()
    return _send(office, request, message, request.number(2))


def sendmmsg(office: Office, request: Request) -> Result:
    """sendmmsg(descriptor, messages, count, flags): the count of those that were sent, up to the first that was not."""
    if not _judged_here(office, request):
        return _other(office, request, request.number(3))
    thread, first, flags = request.caller.thread, request.notification.arguments[1], request.number(3)
    count = min(request.notification.arguments[2] & 0xFFFFFFFF, UIO_MAXIOV)

    def note(index: int, sent: int) -> int:
        """Write into the vector how much of a message was sent; how many of them were."""
        if sent < 0:
            return index or sent
        write_memory(thread, first + index * VECTOR + VECTOR_LENGTH, sent.to_bytes(4, "little"))
        return index + 1

    result = 0
    for index in range(count):
        message = Message.of(thread, first + index * VECTOR)
        request.check_waits()
        judged = _judge(office, request, message)
        if isinstance(judged, int):
            return index or judged
        sent = _send_now(request, judged, flags | sockets.MSG_DONTWAIT)
        if index == 0 and _would_wait(request, sent, flags):  # behind the first one, fewer are as good
            return office.later(request, partial(_first, note, request, judged, flags))
        result = note(index, sent)
        if sent < 0:
            break
    return result


def _first(note: Callable[[int, int], int], request: Request, message: Message, flags: int) -> int:
    return note(0, _send_now(request, message, flags))


def is_udp(request: Request) -> bool:
    """Whether the socket sends and receives datagrams that hooks of the kernel see."""
    kind = request.socket.kind
    datagram = kind.type == sockets.SOCK_DGRAM and kind.protocol in (sockets.IPPROTO_UDP, IPPROTO_UDPLITE)
    return request.socket.internet and datagram


def _judged_here(office: Office, request: Request) -> bool:
    return is_udp(request) and office.judge.asks(Call.SEND)


def _other(office: Office, request: Request, flags: int) -> Result:
    """What is no datagram, or none that is judged."""
    if flags & MSG_FASTOPEN and office.judge.asks(Call.CONNECT):
        return connect_by_sending(office, request)
    return office.let_go_on(request)


def _send(office: Office, request: Request, message: Message, flags: int) -> Result:
    judged = _judge(office, request, message)
    if isinstance(judged, int):
        return judged
    sent = _send_now(request, judged, flags | sockets.MSG_DONTWAIT)
    if not _would_wait(request, sent, flags):
        return sent
    return office.later(request, lambda: _send_now(request, judged, flags))


def _would_wait(request: Request, sent: int, flags: int) -> bool:
    """Whether the caller meant to wait for what was not sent at once."""
    return sent == -errno.EAGAIN and not flags & sockets.MSG_DONTWAIT and request.socket.waits()


def _send_now(request: Request, message: Message, flags: int) -> int:
    """Control messages may ask for a privilege (SO_MARK): be no more privileged than the caller then."""
    socket = request.socket
    lessened = only_capabilities(capabilities_over(request.caller.thread, socket)) if message.control else nullcontext()
    with lessened:
        return message.send(socket, flags)


def _judge(office: Office, request: Request, message: Message) -> Message | int:
    """The message as it is to be sent, or an errno, negative."""
    if not message.address:
        return message
    socket = request.socket
    address = _addressed(socket, message.address)
    if address is None:  # too short, or of a family that this socket can't send to: the kernel refuses it
        return message
    judgement = office.judged(Call.SEND, request.caller, socket, address)
    if judgement.errno:
        return -judgement.errno
    control = message.control + _from(judgement.source, address.family) if judgement.source else message.control
    return replace(message, address=judgement.address.raw, control=control)


def _addressed(socket: Duplicate, raw: bytes) -> SocketAddress | None:
    """The address as the kernel reads it: of IPv4 if it is mapped, or, on a socket of IPv4, of no family."""
    family = int.from_bytes(raw[:2], "little")
    if family == AF_UNSPEC and socket.kind.family == AF_INET:
        family, raw = AF_INET, AF_INET.to_bytes(2, "little") + raw[2:]
    if family == AF_INET6 and raw[8:20] == _MAPPED and len(raw) >= SHORTEST[AF_INET6]:
        family, raw = AF_INET, AF_INET.to_bytes(2, "little") + raw[2:4] + raw[20:24] + bytes(8)
    return SocketAddress.read(raw, family) if family in SHORTEST else None


def _from(source: bytes, family: int) -> bytes:
    """The control message that sends from an address: IP_PKTINFO (ip(7)) or IPV6_PKTINFO (ipv6(7))."""
    if family == AF_INET6:
        return _CMSGHDR.pack(_CMSGHDR.size + 20, sockets.IPPROTO_IPV6, sockets.IPV6_PKTINFO) + source + bytes(8)
    return _CMSGHDR.pack(_CMSGHDR.size + 12, sockets.IPPROTO_IP, IP_PKTINFO) + bytes(4) + source + bytes(8)
