"""One native thread: its memory, its sockets, and how it is started, given other code, and ended.

It is a reader (`appliance.epochs`): awake it may hold whatever the published code finds, until the next batch.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.datapath.driver import drive
from appliance.datapath.layout import MAX_PORTS, NO_PORT, PORT_FAILED, SCRATCH_SIZE, Worker
from appliance.epochs import GRACE_SECONDS, QUIESCENT, GracePeriodExpired, NativeReader, assign_pointer, default_domain
from appliance.helpers.services import RuntimeServices
from appliance.ir import Engine
from hooks.af_packet.socket import PacketSocket
from hooks.linux.if_packet import ETH_HLEN
from hooks.linux.socket import POLLIN

NO_SERVICES = RuntimeServices()


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The code of one batch, `i64 batch(worker)`, and what it belongs to; see `loop`."""

    engine: Engine
    address: int

    @classmethod
    def of(cls, engine: Engine) -> Run:
        """Of a module that `emit_loop` wrote into. Raises RuntimeError once the engine is closed."""
        return cls(engine, engine.address("batch"))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a worker has come, seen once.

    `batches` goes up at least once a second unless it hangs, and `frames` with each one that it judges; `asleep` says
    that it waits for frames, and that nobody waits for it; `alive` that its thread has not ended.
    """

    batches: int
    frames: int
    asleep: bool
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
    """A thread that stays in native code until it is told otherwise.

    `on_failure` is called from the thread with the wirings whose socket failed; the thread then goes on serving the
    others. Closing twice is harmless. The sockets belong to the caller. `publish` and `close` may be called from any
    thread, and so may what only looks.
    """

    def __init__(
        self,
        processor: int,
        wirings: Sequence[Wiring],
        *,
        services: RuntimeServices = NO_SERVICES,
        spin: int = 0,
        on_failure: Callable[[Sequence[Wiring]], None] = lambda failed: None,
    ) -> None:
        if len(wirings) > MAX_PORTS:
            raise ValueError(f"a worker serves at most {MAX_PORTS} interfaces, not {len(wirings)}")
        self.processor = processor
        self._wirings = tuple(wirings)
        self._on_failure = on_failure
        self._surroundings = services  # kept for as long as the native code finds them
        self._scratch = ctypes.create_string_buffer(SCRATCH_SIZE)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self.block = Worker(
            port_count=len(wirings),
            wake_fd=self._wake,
            spin=spin,
            scratch=ctypes.addressof(self._scratch),
            global_epoch=default_domain.epoch_place,
        )
        self.reader = NativeReader(f"worker {processor}", ctypes.addressof(self.block) + Worker.epoch.offset)
        services.put_into(self.block.context)
        self.block.context.processor_id = processor
        self.block.context.random_state = int.from_bytes(os.urandom(8), "little") | 1
        self._wire()
        self._run: Run | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # held while code is published, and while the end begins

    def _wire(self) -> None:
        self.block.polls[0].fd, self.block.polls[0].events = self._wake, POLLIN
        for index, wiring in enumerate(self._wirings):
            port, entry = self.block.ports[index], self.block.polls[index + 1]
            entry.fd, entry.events = wiring.socket.fileno(), POLLIN
            port.receive_ring, port.transmit_ring = wiring.socket.receive_ring, wiring.socket.transmit_ring
            port.receive_slots, port.transmit_slots = wiring.socket.receive_slots, wiring.socket.transmit_slots
            port.receive_next = wiring.socket.first_slot
            port.slot_size = wiring.socket.geometry.slot_size
            port.fd, port.oversize_fd = wiring.socket.fileno(), wiring.socket.oversize_fileno()
            port.ifindex, port.max_frame = wiring.ifindex, wiring.mtu + ETH_HLEN
            port.program, port.enforce = wiring.program, int(wiring.enforce)
            port.peer = NO_PORT if wiring.peer is None else wiring.peer

    def start(self, run: Run) -> None:
        """Begin to serve with `run`."""
        self.publish(run)
        native = drive()  # compiled here, where it may fail, and not in the thread
        default_domain.register(self.reader)
        self._thread = threading.Thread(
            target=self._serve, args=(native,), name=f"worker-{self.processor}", daemon=True
        )
        self._thread.start()

    def publish(self, run: Run) -> None:
        """Serve with other code from the next batch on. The worker leaves what was published before within a grace
        period, and keeps it until then. Raises RuntimeError if the code is closed."""
        run.engine.hold()
        with self._lock:
            before, self._run = self._run, run
            assign_pointer(ctypes.addressof(self.block) + Worker.batch.offset, run.address)
        if before is not None:
            default_domain.retire(before.engine.release)

    def progress(self) -> Progress:
        """How far it has come."""
        thread = self._thread
        frames = sum(port.counters.received_packets for port in self.block.ports[: len(self._wirings)])
        return Progress(
            self.block.turns, frames, self.reader.epoch == QUIESCENT, alive=thread is not None and thread.is_alive()
        )

    def _serve(self, native: Callable[[int], int]) -> None:
        try:
            while native(ctypes.addressof(self.block)) == PORT_FAILED:
                self._report_failures()
        finally:
            default_domain.unregister(self.reader)

    def _report_failures(self) -> None:
        failed = []
        for index, wiring in enumerate(self._wirings):
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
        self.stop()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise GracePeriodExpired([self.reader.name], timeout)
        with self._lock:
            run, self._run = self._run, None
            wake, self._wake = self._wake, -1
        if run is not None:
            default_domain.retire(run.engine.release)
        if wake >= 0:
            os.close(wake)
