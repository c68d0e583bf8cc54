"""listen(2): judged by the address that the socket is bound to."""

from __future__ import annotations

from appliance.guard.addresses import SocketAddress
from appliance.guard.hooks import Call
from appliance.guard.seccomp.office import Office
from appliance.guard.seccomp.request import Request, Result


def listen(office: Office, request: Request) -> Result:
    """listen(descriptor, backlog)"""
    socket = request.socket
    if not socket.internet:
        return office.let_go_on(request)
    request.check_waits()
    address = SocketAddress.read(socket.local_address(), socket.kind.family)
    if address is not None:
        judgement = office.judged(Call.LISTEN, request.caller, socket, address)
        if judgement.errno:
            return -judgement.errno
    return socket.listen(request.number(1))
