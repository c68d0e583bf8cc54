"""How many sockets a box may have on an interface: their rings are memory of the kernel, which no limit of a process or
a control group counts.

The opener keeps no socket, so nothing tells it that one is closed; /proc/net/packet has the inode numbers of those that
there are, whoever holds them.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from hooks.af_packet.opening import OpenSockets
from hooks.errors import HookError

_SOCKETS = Path("/proc/thread-self/net/packet")
_INODE = 8  # the column


class Quota:
    """Of one box: `most` PacketSockets on each interface at a time. For one thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._opened: defaultdict[str, set[int]] = defaultdict(set)

    def demand_room(self, interface: str) -> None:
        """Raises HookError if one more would be too many."""
        opened = self._opened[interface]
        if len(opened) >= self._most:
            opened &= _living()
        if len(opened) >= self._most:
            raise HookError(f"the box has {len(opened)} sockets on it, and may have no more", where=interface)

    def count(self, interface: str, opened: OpenSockets) -> None:
        """They are the box's now."""
        self._opened[interface].add(os.fstat(opened.rings.fileno()).st_ino)


def _living() -> set[int]:
    """The inode numbers of all packet sockets in the network namespace of this thread."""
    _, *lines = _SOCKETS.read_text().splitlines()
    return {int(line.split()[_INODE]) for line in lines}
