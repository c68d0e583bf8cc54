"""Which system calls the filter tells of, for the calls that programs judge."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from appliance.guard.addresses import AF_INET, AF_INET6
from appliance.guard.hooks import Call
from hooks.linux.landlock import LANDLOCK_ACCESS_NET_BIND_TCP, LANDLOCK_ACCESS_NET_CONNECT_TCP
from hooks.seccomp.filter import Watch

MSG_FASTOPEN = 0x20000000  # linux/socket.h: a connection that is made by sending

WATCHES: Mapping[Call, tuple[Watch, ...]] = {
    Call.BIND: (Watch("bind"),),
    Call.SEND: (Watch("sendto", pointer=4), Watch("sendmsg"), Watch("sendmmsg")),
    Call.CREATE: (Watch("socket", values=(0, (AF_INET, AF_INET6))),),
    Call.RECEIVE: (Watch("recvfrom", pointer=4), Watch("recvmsg"), Watch("recvmmsg")),
    Call.LISTEN: (Watch("listen"),),
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


def watches(calls: Collection[Call]) -> list[Watch]:
    """What to tell of, each system call once."""
    merged: dict[str, Watch] = {}
    for watch in (watch for call in WATCHES if call in calls for watch in WATCHES[call]):
        before = merged.get(watch.call)
        merged[watch.call] = watch if before is None else _both(before, watch)
    return [*merged.values()]


def _both(one: Watch, other: Watch) -> Watch:
    """Tell where either would."""
    if Watch(one.call) in (one, other):
        return Watch(one.call)
    pointer = one.pointer if one.pointer is not None else other.pointer
    return Watch(one.call, pointer, one.flag or other.flag, one.values or other.values)


def closed_network(calls: Iterable[Call]) -> int:
    """The LANDLOCK_ACCESS_NET_* that need not be left to the watched processes."""
    closed = 0
    for call in calls:
        closed |= CLOSED.get(call, 0)
    return closed
