"""Addresses that are bound, and the programs told when they are given back.

bind ── add(cookie: who, what) ──> … the kernel tells that the socket has ended ──> UNBIND
"""

from __future__ import annotations

import os
import select
import threading
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

    def namespace_cookie(self) -> int:
        return self.netns_cookie


class Bindings(Closeable):
    """The addresses that watched processes have bound, and a thread that waits for their ends. A context manager;
    closing twice is harmless. Any thread."""

    def __init__(self, judge: Judge) -> None:
        """Raises HookError if this kernel doesn't tell of sockets that end."""
        self._judge = judge
        self._lock = threading.Lock()
        self._bound: dict[int, Binding] = {}
        self._destroyed = DestroyedSockets()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._follow, name="guard-unbinding", daemon=True)
        self._thread.start()

    def add(self, caller: Caller, socket: Duplicate) -> None:
        """The socket has just been bound. Tells the programs so; raises OSError if it is nothing any more."""
        address = SocketAddress.read(socket.local_address(), socket.kind.family)
        if address is None:
            return
        cookies = socket.cookie(), socket.namespace_cookie()
        with self._lock:
            self._bound[cookies[0]] = Binding(caller, caller.program, address, socket.kind, *cookies)
        self._judge.tell_bound(caller, socket, address)

    def __len__(self) -> int:
        return len(self._bound)

    def _follow(self) -> None:
        ready = select.poll()
        ready.register(self._stop, select.POLLIN)
        ready.register(self._destroyed, select.POLLIN)
        while self._stop not in dict(ready.poll()):
            for cookie in self._destroyed.ended():
                self._end(cookie)

    def _end(self, cookie: int) -> None:
        with self._lock:
            binding = self._bound.pop(cookie, None)
        if binding is not None:
            self._judge.tell_unbound(binding.caller, binding, binding.address, binding.path)

    def close(self) -> None:
        if self._thread.is_alive():
            os.eventfd_write(self._stop, 1)
            self._thread.join()
            self._destroyed.close()
            os.close(self._stop)
