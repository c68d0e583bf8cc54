"""bind(2): the address that programs leave is bound, on the duplicate."""

from __future__ import annotations

import errno
from contextlib import nullcontext

from appliance.guard.addresses import SocketAddress
from appliance.guard.hooks import Call
from appliance.guard.judge import Judgement
from appliance.guard.seccomp.office import Office
from appliance.guard.seccomp.request import Request, Result
from hooks.seccomp.capabilities import only_capabilities
from hooks.seccomp.privileges import capabilities_over

FIRST_UNPRIVILEGED = 1024  # a port; what a namespace says otherwise (ip_unprivileged_port_start), the kernel knows


def bind(office: Office, request: Request) -> Result:
    """bind(descriptor, address, length)"""
    socket = request.socket
    if not socket.internet:
        return office.let_go_on(request)
    address = SocketAddress.read(request.address(1, 2), socket.kind.family)
    if address is None:
        return -errno.EINVAL
    judgement = office.judged(Call.BIND, request.caller, socket, address)
    if judgement.errno:
        return -judgement.errno
    if judgement.address.port and (denied := _denied_behind(office, request, judgement.address)):
        return denied  # before: a port that was asked for could not be given back
    result = _bind(request, judgement)
    if result == 0 and not judgement.address.port and office.judge.asks_of_bound:
        got = SocketAddress.read(socket.local_address(), socket.kind.family)
        if got is not None and (denied := _denied_behind(office, request, got)):
            socket.unbind()
            return denied
    if result == 0 and office.bindings is not None:
        office.bindings.add(request.caller, socket)
    return result


def _denied_behind(office: Office, request: Request, address: SocketAddress) -> int:
    """What programs of post_bind say: 0, or an errno, negative."""
    denied = office.judge.judge_bound(request.caller, request.socket, address)
    return office.deny(Call.BIND, request.caller, address, *denied) if denied else 0


def _bind(request: Request, judgement: Judgement) -> int:
    """Be no more privileged than the caller where the kernel asks for privilege."""
    address, thread = judgement.address, request.caller.thread
    asks = 0 < address.port < FIRST_UNPRIVILEGED and not judgement.privileged
    with only_capabilities(capabilities_over(thread, request.socket)) if asks else nullcontext():
        return request.socket.bind(address.raw)
