"""connect(2), and the ways to connect by sending.

A connection of a socket that waits is made by a thread of its own (`Waiting`): it may take minutes.
"""

from __future__ import annotations

import errno
import socket as sockets

from appliance.guard.addresses import SHORTEST, SocketAddress
from appliance.guard.hooks import Call
from appliance.guard.seccomp.office import Office
from appliance.guard.seccomp.request import Request, Result


def connect(office: Office, request: Request) -> Result:
    """connect(descriptor, address, length)"""
    socket = request.socket
    if not socket.internet:
        return office.let_go_on(request)
    raw = request.address(1, 2)
    family = int.from_bytes(raw[:2], "little")
    if family in SHORTEST:  # another one ends a connection, or is refused by the kernel
        address = SocketAddress.read(raw, family)
        if address is None:
            return -errno.EINVAL
        judgement = office.judged(Call.CONNECT, request.caller, socket, address)
        if judgement.errno:
            return -judgement.errno
        raw = judgement.address.raw
    if socket.kind.type == sockets.SOCK_DGRAM or not socket.waits():
        return socket.connect(raw)
    return office.later(request, lambda: socket.connect(raw))


def connect_by_sending(office: Office, request: Request) -> Result:
    """A call with MSG_FASTOPEN, as from a kernel that has it switched off: the caller connects by connect(2) then."""
    return -errno.EOPNOTSUPP if request.socket.internet else office.let_go_on(request)
