"""Which system calls the filter tells of, for the calls that programs judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.guard.hooks import Call
from hooks.linux.landlock import LANDLOCK_ACCESS_NET_BIND_TCP, LANDLOCK_ACCESS_NET_CONNECT_TCP
from hooks.seccomp.filter import Watch

MSG_FASTOPEN = 0x20000000  # linux/socket.h: a connection that is made by sending

WATCHES: Mapping[Call, tuple[Watch, ...]] = {
    Call.BIND: (Watch("bind"),),
    Call.CONNECT: (
        Watch("connect"),
        Watch("sendto", flag=(3, MSG_FASTOPEN)),
        Watch("sendmsg", flag=(2, MSG_FASTOPEN)),
        Watch("sendmmsg", flag=(3, MSG_FASTOPEN)),
    ),
}

# What Landlock may refuse the watched processes, since all of it is performed for them.
CLOSED: Mapping[Call, int] = {
    Call.BIND: LANDLOCK_ACCESS_NET_BIND_TCP,
    Call.CONNECT: LANDLOCK_ACCESS_NET_CONNECT_TCP,
}


def watches(calls: Iterable[Call]) -> list[Watch]:
    """What to tell of."""
    return [watch for call in calls for watch in WATCHES[call]]


def closed_network(calls: Iterable[Call]) -> int:
    """The LANDLOCK_ACCESS_NET_* that need not be left to the watched processes."""
    closed = 0
    for call in calls:
        closed |= CLOSED.get(call, 0)
    return closed
