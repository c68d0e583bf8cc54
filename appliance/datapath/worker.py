"""One native thread: its memory, its sockets, and how it is started, given other code, and ended."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.datapath.layout import MAX_PORTS, NO_PORT, PORT_FAILED, SCRATCH_SIZE, Worker
from appliance.helpers.services import Surroundings
from hooks.af_packet.socket import PacketSocket
from hooks.linux.if_packet import ETH_HLEN
from hooks.linux.socket import POLLIN

NOTHING_AROUND = Surroundings()

# The native `run(worker)`; see `loop`. It releases the GIL until it returns.
Run = Callable[[int], int]


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
    others. Closing twice is harmless. The sockets belong to the caller.
    """

    def __init__(
        self,
        processor: int,
        wirings: Sequence[Wiring],
        *,
        surroundings: Surroundings = NOTHING_AROUND,
        spin: int = 0,
        on_failure: Callable[[Sequence[Wiring]], None] = lambda failed: None,
    ) -> None:
        if len(wirings) > MAX_PORTS:
            raise ValueError(f"a worker serves at most {MAX_PORTS} interfaces, not {len(wirings)}")
        self.processor = processor
        self._wirings = tuple(wirings)
        self._on_failure = on_failure
        self._surroundings = surroundings  # kept for as long as the native code finds them
        self._scratch = ctypes.create_string_buffer(SCRATCH_SIZE)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self.block = Worker(
            port_count=len(wirings), wake_fd=self._wake, spin=spin, scratch=ctypes.addressof(self._scratch)
        )
        surroundings.put_into(self.block.context)
        self.block.context.processor_id = processor
        self.block.context.random_state = int.from_bytes(os.urandom(8), "little") | 1
        self._wire()
        self._run: Run | None = None
        self._next: Run | None = None
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

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
        self._run = run
        self._thread = threading.Thread(target=self._serve, name=f"worker-{self.processor}", daemon=True)
        self._thread.start()

    def swap(self, run: Run) -> None:
        """Go on with other code from the next batch on; returns when the old code is no longer used."""
        self._next = run
        self._changed.clear()
        self._interrupt()
        self._changed.wait()

    def _interrupt(self) -> None:
        self.block.stop = 1
        os.eventfd_write(self._wake, 1)

    def _serve(self) -> None:
        address = ctypes.addressof(self.block)
        while self._run is not None:
            if self._run(address) == PORT_FAILED:
                self._report_failures()
                continue
            self.block.stop = 0
            os.eventfd_read(self._wake)  # waits for the write that follows `stop`, which may not have happened yet
            self._run, self._next = self._next, None
            self._changed.set()

    def _report_failures(self) -> None:
        failed = []
        for index, wiring in enumerate(self._wirings):
            if self.block.ports[index].failed:
                self.block.ports[index].failed = 0
                wiring.socket.take_error()
                failed.append(wiring)
        self._on_failure(failed)

    def close(self) -> None:
        """End the thread. What stands in the receive rings stays there."""
        if self._thread is not None:
            self._next = None
            self._interrupt()
            self._thread.join()
            self._thread = None
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1
