"""Which programs of an object stand where, and which the engine can't call.

A call is what a process does with a socket; a hook is the place in a call where programs of one kind are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from appliance.ebpf.spec import ProgramSpec
from appliance.guard.addresses import AF_INET, AF_INET6
from appliance.guard.errors import NothingToGuard


class Call(Enum):
    """What a process does with a socket, as counters and logs name it."""

    CREATE = "create"
    BIND = "bind"
    CONNECT = "connect"
    LISTEN = "listen"
    SEND = "send"
    RECEIVE = "receive"


@dataclass(frozen=True, slots=True)
class Place:
    """Where programs of a hook are asked: in which call, and about addresses of which family (None: of any)."""

    call: Call
    family: int | None = None


_VERSIONS = {4: AF_INET, 6: AF_INET6}

# Hook → place. The names are those of both platforms.
PLACES: Mapping[str, Place] = {
    "cgroup/sock_create": Place(Call.CREATE),
    "bind": Place(Call.BIND),
    **{f"cgroup/bind{version}": Place(Call.BIND, family) for version, family in _VERSIONS.items()},
    **{
        f"cgroup/{name}{version}": Place(call, family)
        for name, call in (
            ("post_bind", Call.BIND),
            ("connect", Call.CONNECT),
            ("connect_authorization", Call.CONNECT),
            ("listen", Call.LISTEN),
            ("sendmsg", Call.SEND),
            ("recvmsg", Call.RECEIVE),
        )
        for version, family in _VERSIONS.items()
    },
}

# Hook → why no engine of this process can call its programs.
UNSEEN: Mapping[str, str] = {
    "sockops": "no system call tells when a connection is established or ends",
    **{
        f"cgroup/{name}{version}": why
        for name, why in (
            ("recv_accept", "what is accepted is the kernel's to hand out"),
            ("getpeername", "names of sockets are the kernel's to tell"),
            ("getsockname", "names of sockets are the kernel's to tell"),
        )
        for version in _VERSIONS
    },
}


def check_programs(programs: Iterable[ProgramSpec], source: str) -> tuple[list[ProgramSpec], dict[str, str]]:
    """The programs that can be asked here, and why the others can't, by name. Raises NothingToGuard if none can."""
    asked, left_out = [], {}
    for program in programs:
        if program.hook.name in PLACES:
            asked.append(program)
        else:
            left_out[program.name] = UNSEEN.get(program.hook.name, f"hook `{program.hook.name}` is none of sockets")
    if not asked:
        reasons = "; ".join(f"`{name}`: {why}" for name, why in left_out.items()) or "it holds no program"
        known = ", ".join(dict.fromkeys(PLACES))
        raise NothingToGuard(f"no program of it can guard: {reasons}", where=source, hint=f"hooks: {known}")
    return asked, left_out
