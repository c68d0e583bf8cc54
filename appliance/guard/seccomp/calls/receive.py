"""recvfrom(2), recvmsg(2) and recvmmsg(2): programs see where datagrams came from, and may say that it was elsewhere.

Nothing is denied here, so a call about another socket is let go on: what a thread could exchange meanwhile would
only keep an address as it is.
"""

from __future__ import annotations

import errno
import socket as sockets

from appliance.guard.addresses import SocketAddress
from appliance.guard.hooks import Call
from appliance.guard.seccomp.calls.send import VECTOR, VECTOR_LENGTH, is_udp
from appliance.guard.seccomp.office import Office
from appliance.guard.seccomp.request import Instead, Request, Result
from hooks.seccomp.receptions import Reception
from hooks.seccomp.threads import write_memory

MSG_ERRQUEUE = 0x2000
MSG_WAITFORONE = 0x10000


def recvfrom(office: Office, request: Request) -> Result:
    """recvfrom(descriptor, memory, size, flags, address, length)"""
    if not is_udp(request):
        return Instead.CONTINUE
    arguments = request.notification.arguments
    wanted = Reception.of_arguments(request.caller.thread, arguments[1], arguments[2], arguments[4], arguments[5])
    return _receive(office, request, wanted, request.number(3))


def recvmsg(office: Office, request: Request) -> Result:
    """recvmsg(descriptor, message, flags)"""
    if not is_udp(request):
        return Instead.CONTINUE
    wanted = Reception.of(request.caller.thread, request.notification.arguments[1])
    return _receive(office, request, wanted, request.number(2))


def recvmmsg(office: Office, request: Request) -> Result:
    """recvmmsg(descriptor, messages, count, flags, timeout): waits for the first, and takes what has come by then."""
    if not is_udp(request):
        return Instead.CONTINUE
    thread, first = request.caller.thread, request.notification.arguments[1]
    count, flags = request.notification.arguments[2] & 0xFFFFFFFF, request.number(3) & ~MSG_WAITFORONE

    def take(flags: int) -> int:
        for index in range(count):
            wanted = Reception.of(thread, first + index * VECTOR)
            got = _take(office, request, wanted, flags)
            if got < 0:
                return index or got
            write_memory(thread, first + index * VECTOR + VECTOR_LENGTH, got.to_bytes(4, "little"))
            flags |= sockets.MSG_DONTWAIT
        return count

    request.check_waits()
    got = take(flags | sockets.MSG_DONTWAIT)
    return office.later(request, lambda: take(flags)) if _would_wait(request, got, flags) else got


def _receive(office: Office, request: Request, wanted: Reception, flags: int) -> Result:
    request.check_waits()
    got = _take(office, request, wanted, flags | sockets.MSG_DONTWAIT)
    if not _would_wait(request, got, flags):
        return got
    return office.later(request, lambda: _take(office, request, wanted, flags))


def _would_wait(request: Request, got: int, flags: int) -> bool:
    return got == -errno.EAGAIN and not flags & sockets.MSG_DONTWAIT and request.socket.waits()


def _take(office: Office, request: Request, wanted: Reception, flags: int) -> int:
    """Receive one datagram, and have programs say where it came from."""
    datagram = wanted.take(request.socket, flags)
    if isinstance(datagram, int):
        return datagram
    address = SocketAddress.read(datagram.address, request.socket.kind.family) if wanted.name else None
    if address is not None and not flags & MSG_ERRQUEUE:
        judgement = office.judged(Call.RECEIVE, request.caller, request.socket, address)
        datagram = datagram.from_(judgement.address.raw)
    return wanted.put(request.caller.thread, datagram)
