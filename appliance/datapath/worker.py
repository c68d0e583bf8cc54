"""One native thread: its memory, its sockets, and how it is started, given other code, and ended.

It is a reader (`appliance.epochs`): online it may hold whatever the published code finds, until the next batch.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from appliance.datapath.hosts.host import Host, HostedCode, Service
from appliance.datapath.hosts.local import LOCAL
from appliance.datapath.layout import MAX_PORTS, NO_PORT, SCRATCH_SIZE, Port, Worker
from appliance.epochs import GRACE_SECONDS, QUIESCENT, GracePeriodExpired, NativeReader, assign_pointer, default_domain
from appliance.errors import CannotRun
from appliance.helpers.services import RuntimeServices
from appliance.ir import LinkedCode
from appliance.memory import PRIVATE, Plain, Reserve
from hooks.af_packet.socket import PacketSocket
from hooks.linux.if_packet import ETH_HLEN
from hooks.linux.socket import POLLIN

NO_SERVICES = RuntimeServices()
_SCRATCH = -(-ctypes.sizeof(Worker) // 64) * 64  # where in a worker's memory its room for long frames begins


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The code of one batch, `i64 batch(worker)`, what it belongs to, and where it runs; see `loop`."""

    engine: LinkedCode
    address: int
    host: Host = LOCAL

    @classmethod
    def of(cls, engine: LinkedCode) -> Run:
        """Of a module that `emit_loop` wrote into. Raises RuntimeError once the engine is closed."""
        return cls(engine, engine.address("batch"), engine.host if isinstance(engine, HostedCode) else LOCAL)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a worker has come, seen once.

    `batches` goes up at least once a second unless it hangs, and `frames` with each one that it judges; `offline` says
    that it waits for frames, and that nobody waits for it; `alive` that its thread has not ended.
    """

    batches: int
    frames: int
    offline: bool
    alive: bool


@dataclass(frozen=True, slots=True)
class Wiring:
    """How one interface is served: through which socket, by which program, and where PASS sends its frames."""

    socket: PacketSocket
    ifindex: int
    mtu: int
    program: int
    peer: int | None
    enforce: bool


class WorkerThread:
    """A thread that stays in native code until it is told otherwise, in the host that the code is in.

    `on_failure` is called from a thread of this process with the wirings whose socket failed; it then goes on serving
    the others. (Another process goes on without telling.) Closing twice is harmless. The sockets belong to the caller.
    `publish` and `close` may be called from any thread, and so may what only looks.
    """

    def __init__(
        self,
        processor: int,
        wirings: Sequence[Wiring],
        *,
        services: RuntimeServices = NO_SERVICES,
        spin: int = 0,
        urgent: bool = False,
        on_failure: Callable[[Sequence[Wiring]], None] = lambda failed: None,
        reserve: Reserve = PRIVATE,
    ) -> None:
        """Take the memory that the native code works on from the reserve. `urgent`: run before all other threads, as
        far as that is permitted. Raises OSError."""
        self.processor = processor
        self.wirings: Sequence[Wiring] = ()
        self._on_failure = on_failure
        self._services = services  # kept for as long as the native code finds them
        self._memory = reserve.take(Plain(_SCRATCH + SCRATCH_SIZE))
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self.block = Worker.from_address(self._memory.address)
        self.block.spin = spin
        self.block.urgent = urgent
        self.block.scratch = self._memory.address + _SCRATCH
        self.block.global_epoch = default_domain.epoch_place
        self.reader = NativeReader(f"worker {processor}", self._memory.address + Worker.epoch.offset)
        services.put_into(self.block.context)
        self.block.context.processor_id = processor
        self.block.context.random_state = int.from_bytes(os.urandom(8), "little") | 1
        self.block.polls[0].events = POLLIN
        self._run: Run | None = None
        self._service: Service | None = None
        self.paused = False
        self._lock = threading.Lock()  # held while code is published, and while the end begins
        self.rewire(wirings)

    def rewire(self, wirings: Sequence[Wiring]) -> None:
        """Serve these from now on. A socket that stays keeps its place in its rings, and its counts; those of one that
        goes are forgotten. Only while it is paused, or not started yet."""
        if len(wirings) > MAX_PORTS:
            raise ValueError(f"a worker serves at most {MAX_PORTS} interfaces, not {len(wirings)}")
        before = {
            wiring.socket: Port.from_buffer_copy(port)
            for wiring, port in zip(self.wirings, self.block.ports, strict=False)
        }
        self.wirings = tuple(wirings)
        self.block.port_count = len(wirings)
        for index, wiring in enumerate(wirings):
            self.block.polls[index + 1].events = POLLIN
            port = before.get(wiring.socket) or _port(wiring.socket)
            port.ifindex, port.max_frame = wiring.ifindex, wiring.mtu + ETH_HLEN
            port.program, port.enforce = wiring.program, int(wiring.enforce)
            port.peer = NO_PORT if wiring.peer is None else wiring.peer
            self.block.ports[index] = port

    def start(self, run: Run) -> None:
        """Begin to serve with `run`."""
        self.publish(run)
        self.resume()

    def resume(self) -> None:
        """Go on after a pause, with what is published by now, in its host. Raises CannotRun if that can't; it is
        paused then, and may go on with other code."""
        assert self._run is not None
        if self._service is not None and self.block.stop:
            os.eventfd_read(self._wake)
            self.block.stop = 0
        self._find(self._run.host)
        default_domain.register(self.reader)
        self._service = self._run.host.serve(self._memory.address, self.reader.name, self._report_failures, self._leave)
        self.paused = False

    def _find(self, host: Host) -> None:
        """Say where its code finds the rings, and by which numbers the descriptors."""
        self.block.wake_fd = self.block.polls[0].fd = host.eventfd(self._wake)
        for index, wiring in enumerate(self.wirings):
            place, port = host.place(wiring.socket), self.block.ports[index]
            port.receive_ring, port.transmit_ring = place.receive_ring, place.transmit_ring
            port.fd, port.oversize_fd = place.fd, place.oversize_fd
            self.block.polls[index + 1].fd = place.fd

    def _leave(self) -> None:
        """Nothing serves the block any more: nobody is to wait for it."""
        default_domain.unregister(self.reader)

    def pause(self, timeout: float) -> None:
        """End the thread, to go on with another one. What arrives meanwhile waits in the rings.

        Raises GracePeriodExpired if it doesn't end in time; it is not paused then, and ends when it can.
        """
        self.paused = True  # before it ends, so that nobody takes it for dead
        try:
            self._end(timeout)
        except GracePeriodExpired:
            self.paused = False
            raise

    def drain(self, ports: Collection[int], timeout: float) -> None:
        """Serve batches while it is paused, until nothing waits any more in the receive and transmit rings of these
        ports, or the time is over. They must be muted."""
        if ports and self._run is not None:
            self._run.host.drain(self._memory.address, ports, timeout)

    def publish(self, run: Run) -> None:
        """Serve with other code from the next batch on, or, if that is in another host, from `resume` on: then it must
        be paused. The worker leaves what was published before within a grace period, and keeps it until then. Raises
        RuntimeError if the code is closed."""
        run.engine.hold()
        with self._lock:
            before, self._run = self._run, run
            assign_pointer(self._memory.address + Worker.batch.offset, run.address)
        if before is not None:
            default_domain.retire(before.engine.release)

    @property
    def published(self) -> Run:
        """What it serves with, or will once it goes on. Raises RuntimeError if it never began, or is closed."""
        if self._run is None:
            raise RuntimeError(f"{self.reader.name} has no code")
        return self._run

    def progress(self) -> Progress:
        """How far it has come."""
        service = self._service
        frames = sum(port.counters.received_packets for port in self.block.ports[: self.block.port_count])
        alive = self.paused or (service is not None and service.alive)
        return Progress(self.block.batches, frames, self.reader.epoch == QUIESCENT, alive)

    def _report_failures(self) -> None:
        failed = []
        for index, wiring in enumerate(self.wirings):
            if self.block.ports[index].failed:
                self.block.ports[index].failed = 0
                wiring.socket.take_error()
                failed.append(wiring)
        self._on_failure(failed)

    def stop(self) -> None:
        """Ask it to end behind the batch that it is at; `close` waits for that."""
        with self._lock:
            self.block.stop = 1
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def close(self, timeout: float = GRACE_SECONDS) -> None:
        """End the thread. What stands in the receive rings stays there.

        Raises GracePeriodExpired if it doesn't end in time: it may use all its memory and its sockets still.
        """
        self._end(timeout)
        self.paused = False
        with self._lock:
            run, self._run = self._run, None
            wake, self._wake = self._wake, -1
        if wake >= 0:
            with suppress(CannotRun):  # a host that is gone has forgotten it
                (run.host if run is not None else LOCAL).leave_eventfd(wake)
            os.close(wake)
        if run is not None:
            default_domain.retire(run.engine.release)

    def give_back(self) -> None:
        """Give the memory back, after `close`. What it counted can be read still."""
        self.block = Worker.from_buffer_copy(self.block)
        self._memory.close()

    def _end(self, timeout: float) -> None:
        self.stop()
        if self._service is not None and not self._service.join(timeout):
            raise GracePeriodExpired([self.reader.name], timeout)


def _port(socket: PacketSocket) -> Port:
    """A port as its rings are when they have just been opened. Where they are is a host's to say."""
    return Port(
        receive_slots=socket.receive_slots, transmit_slots=socket.transmit_slots, slot_size=socket.geometry.slot_size
    )
