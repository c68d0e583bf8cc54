"""Namespaces of a process's own: a network without interfaces, no shared memory of others, no name of the machine.

With CAP_SYS_ADMIN they are simply made. Without, a user namespace is made first, where the kernel's configuration lets
anybody make one: the process then has every capability in there, and whoever calls this drops them.
"""

from __future__ import annotations

from collections.abc import Mapping

from hooks.linux import sched

OWN: Mapping[str, int] = {
    "network": sched.CLONE_NEWNET,
    "IPC": sched.CLONE_NEWIPC,
    "UTS": sched.CLONE_NEWUTS,
}


def leave_namespaces(*, users: bool = True) -> tuple[str, ...]:
    """Leave those of OWN for new, empty ones, for good; their names, none if the kernel does not permit it. To be
    called by the only thread of a process. `users`: by a namespace of users, if need be, in which every other user is
    nobody: not for who asks the kernel who somebody is."""
    every = sum(OWN.values())
    for flags in (every, every | sched.CLONE_NEWUSER)[: 1 + users]:
        try:
            sched.unshare(flags)
        except OSError:
            continue
        return tuple(OWN)
    return ()
