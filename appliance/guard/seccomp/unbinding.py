"""Addresses that are bound, and the programs told when they are given back.

bind ── add(cookie: who, what) ──> … the kernel tells that the socket has ended ──> UNBIND
"""

from __future__ import annotations

import select
from dataclasses import dataclass

from appliance.closeable import Closeable
from appliance.guard.addresses import SocketAddress
from appliance.guard.callers import Caller
from appliance.guard.judge import Judge
from hooks.seccomp.destroyed import DestroyedSockets
from hooks.seccomp.sockets import Duplicate, Kind


@dataclass(frozen=True, slots=True)
class Binding:
    """Who bound what. It is what programs see of a socket that is no more."""

    caller: Caller
    path: str
    address: SocketAddress
    kind: Kind
    socket_cookie: int
    netns_cookie: int

    def cookie(self) -> int:
        return self.socket_cookie

    def local_address(self) -> bytes:
        return self.address.raw

    def namespace_cookie(self) -> int:
        return self.netns_cookie


class Bindings(Closeable):
    """The addresses that watched processes have bound, until their sockets end. A context manager; closing twice is
    harmless. For the thread that serves."""

    def __init__(self, judge: Judge) -> None:
        """Raises HookError if this kernel doesn't tell of sockets that end."""
        self._judge = judge
        self._bound: dict[int, Binding] = {}
        self._destroyed = DestroyedSockets()

    def add(self, caller: Caller, socket: Duplicate) -> None:
        """The socket has just been bound. Tells the programs so; raises OSError if it is nothing any more."""
        address = SocketAddress.read(socket.local_address(), socket.kind.family)
        if address is None:
            return
        cookies = socket.cookie(), socket.namespace_cookie()
        self._bound[cookies[0]] = Binding(caller, caller.program, address, socket.kind, *cookies)
        self._judge.tell_bound(caller, socket, address)

    def fileno(self) -> int:
        """To wait for sockets that have ended."""
        return self._destroyed.fileno()

    def follow(self) -> None:
        """Tell the programs of sockets that have ended."""
        for cookie in self._destroyed.ended():
            binding = self._bound.pop(cookie, None)
            if binding is not None:
                self._judge.tell_unbound(binding.caller, binding, binding.address, binding.path)

    def settle(self, milliseconds: int) -> None:
        """Wait for the last ones, as long as the kernel goes on telling of some."""
        ready = select.poll()
        ready.register(self._destroyed, select.POLLIN)
        while self._bound and ready.poll(milliseconds):
            self.follow()

    def close(self) -> None:
        self._destroyed.close()
