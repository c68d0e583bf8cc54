"""What a box needs privilege for, as an interface: whoever wires frames takes an Opener, and does not ask who that is.

Traffic, Datapath ──> Opener ─┬─ LocalOpener    this process does it: tests, the lab, a box in one process
                              └─ others         ask a process that may
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from hooks.af_packet.fanout import Fanout
from hooks.af_packet.geometry import Geometry
from hooks.af_packet.socket import PacketSocket
from hooks.interfaces import isolation_watch
from hooks.interfaces.isolation import Isolation
from hooks.interfaces.isolation_watch import Openings
from hooks.interfaces.netdev import Interface


class Opener(Protocol):
    """Opens, isolates and closes again, in one network namespace. Any thread that is in that namespace."""

    def isolate(self, name: str) -> AbstractContextManager[Interface]:
        """Hold an interface for the length of a `with` block: see Isolation. Entering and leaving raise HookError."""
        ...

    def open_socket(
        self, interface: str, geometry: Geometry, *, fanout: Fanout | None = None, muted: bool = False
    ) -> PacketSocket:
        """A packet socket with its rings: see PacketSocket, whose it is from now on. Raises HookError."""
        ...

    def close_again(self, held: Interface) -> Openings:
        """Close an isolated interface again if it is open: see IsolationWatch. Raises HookError or OSError."""
        ...


class LocalOpener:
    """This process has the privilege. Any thread; it speaks of the calling one's network namespace."""

    def isolate(self, name: str) -> Isolation:
        return Isolation(name)

    def open_socket(
        self, interface: str, geometry: Geometry, *, fanout: Fanout | None = None, muted: bool = False
    ) -> PacketSocket:
        return PacketSocket(interface, geometry, fanout=fanout, muted=muted)

    def close_again(self, held: Interface) -> Openings:
        return isolation_watch.close_again(held)


LOCAL = LocalOpener()
