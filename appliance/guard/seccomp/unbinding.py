"""Addresses that are bound, and the programs told when they are given back.

bind ── add(cookie: who, what) ──> … the kernel tells that the socket has ended ──> UNBIND
"""

from __future__ import annotations

import logging
import select
from collections import Counter
from dataclasses import dataclass

from appliance.closeable import Closeable
from appliance.guard.addresses import SocketAddress
from appliance.guard.callers import Caller
from appliance.guard.judge import Judge
from hooks.contracts.task import namespace_cookie
from hooks.errors import HookError
from hooks.seccomp.destroyed import DestroyedSockets
from hooks.seccomp.sockets import Duplicate, Kind

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Binding:
    """Who bound what. It is what programs see of a socket that is no more."""

    caller: Caller
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
        self._own = namespace_cookie()
        self._destroyed = {self._own: DestroyedSockets()}  # by network namespace
        self._counts = Counter[int]()  # of what is bound in each
        self._ready = select.epoll()
        self._ready.register(self._destroyed[self._own], select.EPOLLIN)

    def add(self, caller: Caller, socket: Duplicate) -> None:
        """The socket has just been bound. Tells the programs so; raises OSError if it is nothing any more."""
        address = SocketAddress.read(socket.local_address(), socket.kind.family)
        if address is None:
            return
        cookie, namespace = socket.cookie(), socket.namespace_cookie()
        if self._follows(namespace, socket):
            self._bound[cookie] = Binding(caller, address, socket.kind, cookie, namespace)
            self._counts[namespace] += 1
        self._judge.tell_bound(caller, socket, address)

    def _follows(self, namespace: int, socket: Duplicate) -> bool:
        """Whether the kernel tells of ends in that namespace; from now on, if it is a new one."""
        if namespace not in self._destroyed:
            try:
                self._destroyed[namespace] = DestroyedSockets.beside(socket)
            except HookError as error:
                _LOGGER.warning("nobody will be told of addresses given back there: %s", error)
                return False
            self._ready.register(self._destroyed[namespace], select.EPOLLIN)
        return True

    def fileno(self) -> int:
        """To wait for sockets that have ended."""
        return self._ready.fileno()

    def follow(self) -> None:
        """Tell the programs of sockets that have ended."""
        for namespace, destroyed in [*self._destroyed.items()]:
            lost = destroyed.lost
            for cookie in destroyed.ended():
                self._end(cookie)
            if destroyed.lost > lost:
                _LOGGER.warning("more sockets ended at once than the kernel told of")
            if namespace != self._own and not self._counts[namespace]:  # it would keep the namespace
                destroyed.close()
                del self._destroyed[namespace], self._counts[namespace]

    def _end(self, cookie: int) -> None:
        binding = self._bound.pop(cookie, None)
        if binding is not None:
            self._counts[binding.netns_cookie] -= 1
            self._judge.tell_unbound(binding.caller, binding, binding.address)

    def settle(self, milliseconds: int) -> None:
        """Wait for the last ones, as long as the kernel goes on telling of some."""
        while self._bound and self._ready.poll(milliseconds / 1000):
            self.follow()

    def close(self) -> None:
        for destroyed in self._destroyed.values():
            destroyed.close()
        self._ready.close()
