"""Landlock as a second lock: TCP that the kernel refuses to a process, whatever way it takes.

A notified call is performed by somebody else, on a duplicate of the socket. What the watched process could still do by
itself (a call that was let go on, meant for another kind of socket, whose descriptor a second thread exchanged) ends at
this rule. It binds the process and all that it starts; who performs calls for it is outside. It also keeps the process
from tracing, or taking descriptors of, processes that are not under it. Source: landlock(7).
"""

from __future__ import annotations

import ctypes

from hooks.linux import landlock as kernel
from hooks.linux.unistd import syscall


def knows_of_networks() -> bool:
    """Whether this kernel's Landlock is there, and old enough to refuse TCP."""
    try:
        return syscall("landlock_create_ruleset", 0, 0, kernel.LANDLOCK_CREATE_RULESET_VERSION) >= kernel.NETWORK_ABI
    except OSError:
        return False


def restrict_network(closed: int) -> None:
    """Refuse this process the LANDLOCK_ACCESS_NET_* of `closed` from now on: to bind, to connect. Raises OSError."""
    if closed:
        rules = kernel.landlock_ruleset_attr(0, closed)
        descriptor = syscall("landlock_create_ruleset", ctypes.byref(rules), ctypes.sizeof(rules), 0)
        syscall("landlock_restrict_self", descriptor, 0)
