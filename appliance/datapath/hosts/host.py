"""What a datapath asks of whoever runs its code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from appliance.ir import LinkedCode
from hooks.af_packet.socket import PacketSocket


@dataclass(frozen=True, slots=True)
class Place:
    """A socket as native code of a host finds it: addresses of its rings, and descriptors."""

    receive_ring: int
    transmit_ring: int
    fd: int
    oversize_fd: int


@runtime_checkable
class HostedCode(LinkedCode, Protocol):
    """Code that runs in a host of its own."""

    @property
    def host(self) -> Host:
        """Where it runs."""
        ...


class Service(Protocol):
    """A native thread at work on a worker's block, until the block says stop. Any thread."""

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        ...

    def join(self, timeout: float) -> bool:
        """Wait for its end, at most `timeout` seconds; whether it has ended."""
        ...


class Host(Protocol):
    """Runs native code on blocks. One thread calls it at a time, but for what a Service offers."""

    def adopt(self, sockets: Iterable[PacketSocket]) -> None:
        """Make sockets known whose rings its code is to serve; those that are known already stay. Raises CannotRun."""
        ...

    def leave(self, sockets: Iterable[PacketSocket]) -> None:
        """Forget sockets that no block names any more."""
        ...

    def place(self, socket: PacketSocket) -> Place:
        """Where its code finds an adopted socket."""
        ...

    def eventfd(self, descriptor: int) -> int:
        """The number by which its code knows an eventfd of this process. Raises CannotRun."""
        ...

    def leave_eventfd(self, descriptor: int) -> None:
        """Forget one that no block names any more. Raises CannotRun."""
        ...

    def serve(self, block: int, name: str, failed: Callable[[], None], ended: Callable[[], None]) -> Service:
        """Begin to serve the worker's block at that address. `failed` is called when a socket of it has, `ended` once
        nothing serves it any more. Raises CannotRun."""
        ...

    def drain(self, block: int, ports: Collection[int], seconds: float) -> None:
        """Serve batches of a block that nothing serves, until nothing waits any more in the rings of these ports, or
        the time is over. Raises CannotRun."""
        ...
