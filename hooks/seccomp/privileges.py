"""What a thread may do to a socket: its capabilities in effect, where they count for the socket's namespace.

The kernel asks for a capability over the user namespace that owns the socket's network namespace (ns_capable of
sock_net(sk)->user_ns), and it asks the thread that makes the call. Who makes a call for somebody else has to be no more
than he is.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from hooks.seccomp.sockets import Duplicate

SIOCGSKNS = 0x894C  # linux/sockios.h: the network namespace of a socket, as a descriptor
NS_GET_USERNS = 0xB701  # linux/nsfs.h: the user namespace that owns it, as a descriptor


def capabilities_over(thread: int, socket: Duplicate) -> int:
    """The capabilities, bit by bit, that the thread has over the socket's network namespace. Raises OSError."""
    his = _identity(Path(f"/proc/{thread}/ns/user").stat())
    if his not in (_identity(Path("/proc/self/ns/user").stat()), _owner_of(socket)):
        return 0
    with Path(f"/proc/{thread}/status").open("rb") as status:
        return next(int(line.split()[1], 16) for line in status if line.startswith(b"CapEff:"))


def network_of(socket: Duplicate) -> int:
    """A descriptor of the socket's network namespace. Raises OSError."""
    return fcntl.ioctl(socket.descriptor, SIOCGSKNS)


def _owner_of(socket: Duplicate) -> tuple[int, int] | None:
    """The user namespace that owns the socket's network namespace; None if this process may not know."""
    try:
        network = network_of(socket)
        try:
            owner = fcntl.ioctl(network, NS_GET_USERNS)
        finally:
            os.close(network)
        try:
            return _identity(os.fstat(owner))
        finally:
            os.close(owner)
    except OSError:
        return None


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
