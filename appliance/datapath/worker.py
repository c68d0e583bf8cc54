"""One native thread: its memory, its sockets, and how it is started, given other code, and ended.

It is a reader (`appliance.epochs`): online it may hold whatever the published code finds, until the next batch.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from appliance.datapath.driver import drive
from appliance.datapath.layout import MAX_PORTS, NO_PORT, PORT_FAILED, SCRATCH_SIZE, Port, Worker
from appliance.epochs import GRACE_SECONDS, QUIESCENT, GracePeriodExpired, NativeReader, assign_pointer, default_domain
from appliance.helpers.services import RuntimeServices
from appliance.ir import Engine
from hooks.af_packet.socket import PacketSocket
from hooks.linux.if_packet import ETH_HLEN, TP_STATUS_USER, tpacket2_hdr
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
        self.processor = processor
        self.wirings: Sequence[Wiring] = ()
        self._on_failure = on_failure
        self._services = services  # kept for as long as the native code finds them
        self._scratch = ctypes.create_string_buffer(SCRATCH_SIZE)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self.block = Worker(
            wake_fd=self._wake,
            spin=spin,
            scratch=ctypes.addressof(self._scratch),
            global_epoch=default_domain.epoch_place,
        )
        self.reader = NativeReader(f"worker {processor}", ctypes.addressof(self.block) + Worker.epoch.offset)
        services.put_into(self.block.context)
        self.block.context.processor_id = processor
        self.block.context.random_state = int.from_bytes(os.urandom(8), "little") | 1
        self.block.polls[0].fd, self.block.polls[0].events = self._wake, POLLIN
        self._run: Run | None = None
        self._thread: threading.Thread | None = None
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
            entry = self.block.polls[index + 1]
            entry.fd, entry.events = wiring.socket.fileno(), POLLIN
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
        """Go on after a pause, with what is published by now."""
        native = drive()  # compiled here, where it may fail, and not in the thread
        if self.paused:
            os.eventfd_read(self._wake)
            self.block.stop = 0
        default_domain.register(self.reader)
        self._thread = threading.Thread(
            target=self._serve, args=(native,), name=f"worker-{self.processor}", daemon=True
        )
        self._thread.start()
        self.paused = False

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
        """Serve batches in the calling thread, while it is paused, until nothing waits any more in the receive and
        transmit rings of these ports, or the time is over. They must be muted."""
        end = time.monotonic() + timeout
        batch = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64)
        while any(map(self._waits, ports)) and time.monotonic() < end:
            with default_domain.reading(f"{self.reader.name}, drained"):
                batch(self.block.batch)(ctypes.addressof(self.block))

    def _waits(self, index: int) -> bool:
        port = self.block.ports[index]
        header = tpacket2_hdr.from_address(port.receive_ring + port.receive_next * port.slot_size)
        return bool(port.transmit_pending or header.tp_status & TP_STATUS_USER)

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
        frames = sum(port.counters.received_packets for port in self.block.ports[: self.block.port_count])
        alive = self.paused or (thread is not None and thread.is_alive())
        return Progress(self.block.batches, frames, self.reader.epoch == QUIESCENT, alive)

    def _serve(self, native: Callable[[int], int]) -> None:
        try:
            while native(ctypes.addressof(self.block)) == PORT_FAILED:
                self._report_failures()
        finally:
            default_domain.unregister(self.reader)

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
        if run is not None:
            default_domain.retire(run.engine.release)
        if wake >= 0:
            os.close(wake)

    def _end(self, timeout: float) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise GracePeriodExpired([self.reader.name], timeout)


def _port(socket: PacketSocket) -> Port:
    """A port as its rings are when they have just been opened."""
    return Port(
        receive_ring=socket.receive_ring,
        transmit_ring=socket.transmit_ring,
        receive_slots=socket.receive_slots,
        transmit_slots=socket.transmit_slots,
        slot_size=socket.geometry.slot_size,
        fd=socket.fileno(),
        oversize_fd=socket.oversize_fileno(),
    )
