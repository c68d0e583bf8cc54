"""socket(2): judged by its registers, so that nobody can change them, and made by the kernel."""

from __future__ import annotations

import socket as sockets

from appliance.guard.hooks import Call
from appliance.guard.seccomp.office import Office
from appliance.guard.seccomp.request import AnyRequest, Instead, Result
from appliance.guard.statistics import Outcome
from hooks.seccomp.sockets import Kind

_FLAGS = sockets.SOCK_CLOEXEC | sockets.SOCK_NONBLOCK
_DEFAULTS = {int(sockets.SOCK_STREAM): sockets.IPPROTO_TCP, int(sockets.SOCK_DGRAM): sockets.IPPROTO_UDP}


def create(office: Office, request: AnyRequest) -> Result:
    """socket(family, type, protocol)"""
    family, type_, protocol = (request.number(argument) for argument in range(3))
    type_ &= ~_FLAGS
    kind = Kind(family, type_, protocol or _DEFAULTS.get(type_, 0))
    request.check_waits()
    denied = office.judge.judge_creation(request.caller, kind)
    if denied is not None:
        return office.deny(Call.CREATE, request.caller, kind, *denied)
    office.ledger.count(Call.CREATE, Outcome.PERMITTED)
    return Instead.CONTINUE
