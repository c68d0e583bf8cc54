"""The running datapath: interfaces wired to one another, served by workers, over code that can be exchanged.

outside ──> program `in`  ──PASS──> inside          inline
inside  ──> program `out` ──PASS──> outside
outside ──> program `in`  ──(counted, never sent)   tap
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llvmlite import ir

from appliance.closeable import Closeable
from appliance.datapath import statistics
from appliance.datapath.loop import emit_loop
from appliance.datapath.statistics import InterfaceStatistics
from appliance.datapath.worker import NO_SERVICES, Progress, Run, Wiring, WorkerThread
from appliance.epochs import GRACE_SECONDS, GracePeriodExpired, default_domain
from appliance.helpers.services import RuntimeServices
from hooks.af_packet.socket import NEW_GROUP, Geometry, PacketSocket
from hooks.contracts.contract import HookPoint
from hooks.interfaces.netdev import Interface, demand_ethernet
from hooks.linux.if_packet import ETH_HLEN


@dataclass(frozen=True, slots=True)
class Passage:
    """Two interfaces that frames cross between, or one that is only listened to (`inside` is None)."""

    outside: Interface
    inside: Interface | None = None

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        return (self.outside,) if self.inside is None else (self.outside, self.inside)


# Which of the loop's programs judges a frame: the position of each in the mapping given to `emit_loop`.
INWARD, OUTWARD = 0, 1


@dataclass(frozen=True, slots=True)
class PacketLoops:
    """What `Collection.load` calls to have the packet loop written beside the programs of those names."""

    hook: HookPoint
    inward: str
    outward: str

    def __call__(self, module: ir.Module, programs: Mapping[str, ir.Function]) -> None:
        emit_loop(module, {"inward": programs[self.inward], "outward": programs[self.outward]}, self.hook)


class Datapath(Closeable):
    """Sockets, rings and workers on a set of passages. A context manager; closing twice is harmless.

    Any thread may call `swap`, `statistics` and `progress`; one opens and closes it.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        run: Run,
        *,
        workers: int = 1,
        services: RuntimeServices = NO_SERVICES,
        spin: int = 0,
        on_failure: Callable[[Sequence[Wiring]], None] = lambda failed: None,
    ) -> None:
        """Open every ring and begin to serve. Raises HookError; then nothing stays open."""
        self._sockets: list[PacketSocket] = []
        self._groups: dict[str, int] = {}  # of sockets that share an interface
        self._threads: list[WorkerThread] = []
        self._swapping = threading.Lock()  # held while code is published, never while waiting
        self._ports: list[tuple[PacketSocket, WorkerThread, int]] = []
        try:
            wirings = [self._open(passages, shared=workers > 1) for _ in range(workers)]
            if workers > 1:
                for packet_socket in self._sockets:
                    packet_socket.discard_received()
            for processor, own in enumerate(wirings):
                thread = WorkerThread(processor, own, services=services, spin=spin, on_failure=on_failure)
                self._threads.append(thread)
                self._ports += [(wiring.socket, thread, index) for index, wiring in enumerate(own)]
            for thread in self._threads:
                thread.start(run)
        except BaseException:
            self.close()
            raise

    def _open(self, passages: Sequence[Passage], *, shared: bool) -> list[Wiring]:
        """One worker's sockets on every interface. `shared`: with other workers, flow by flow."""
        wirings: list[Wiring] = []
        for passage in passages:
            first = len(wirings)
            for side, interface in enumerate(passage.interfaces):
                demand_ethernet(interface)
                fanout = self._groups.get(interface.name, NEW_GROUP) if shared else None
                opened = PacketSocket(interface.name, Geometry.for_mtu(interface.mtu), fanout=fanout)
                self._sockets.append(opened)
                if shared:
                    self._groups[interface.name] = opened.fanout_group()
                inline = passage.inside is not None
                peer = first + 1 - side if inline else None
                wirings.append(Wiring(opened, interface.index, interface.mtu, (INWARD, OUTWARD)[side], peer, inline))
        return wirings

    def swap(self, run: Run, timeout: float = GRACE_SECONDS) -> None:
        """Go on with other code; returns when no worker uses the old code any more. No frame is lost or reordered:
        what arrives meanwhile waits in the rings.

        Any thread may call it; of two that swap at once, all workers go on with the code of the same one. Raises
        GracePeriodExpired after `timeout` seconds: the new code is published, and the old one kept for who is late.
        """
        with self._swapping:
            for thread in self._threads:
                thread.publish(run)
        default_domain.synchronize(timeout)

    def progress(self) -> tuple[Progress, ...]:
        """How far each worker has come."""
        return tuple(thread.progress() for thread in self._threads)

    def follow_mtu(self, interface: Interface) -> bool:
        """Let frames as long as the interface's MTU is now leave by it, and no longer ones, from the next frame on.

        False if the slots of its rings have no room for such frames; then it stays as it was.
        """
        ports = [(opened, thread, index) for opened, thread, index in self._ports if opened.interface == interface.name]
        needed = Geometry.for_mtu(interface.mtu).slot_size
        if any(opened.geometry.slot_size < needed for opened, _, _ in ports):
            return False
        for _, thread, index in ports:
            thread.block.ports[index].max_frame = interface.mtu + ETH_HLEN
        return True

    def statistics(self) -> dict[str, InterfaceStatistics]:
        """A snapshot by interface name, summed over the workers."""
        result: dict[str, InterfaceStatistics] = {}
        for packet_socket, thread, index in self._ports:
            name = packet_socket.interface
            part = statistics.of_port(thread.block.ports[index].counters, packet_socket.statistics())
            result[name] = result.get(name, InterfaceStatistics()) + part
        return result

    def halt(self, timeout: float = GRACE_SECONDS) -> None:
        """End the workers. The rings stay, and so do the counts, which are final now: what still waits never left.

        Raises GracePeriodExpired if some don't end within `timeout` seconds, after the others.
        """
        end, hung = time.monotonic() + timeout, list[str]()
        for thread in self._threads:
            thread.stop()
        for thread in self._threads:
            try:
                thread.close(max(0.0, end - time.monotonic()))
            except GracePeriodExpired as expired:
                hung += expired.readers
        if hung:
            raise GracePeriodExpired(hung, timeout)
        for _, thread, index in self._ports:
            port = thread.block.ports[index]
            port.counters.transmit_failed += port.transmit_pending
            port.transmit_pending = port.transmit_pending_bytes = 0

    def close(self) -> None:
        """End the workers, then close the rings. Raises GracePeriodExpired: then the rings stay, as they are used."""
        self.halt()
        for packet_socket in self._sockets:
            packet_socket.close()
