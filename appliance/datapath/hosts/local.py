"""Code that runs in threads of this process."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from appliance.datapath.driver import drive
from appliance.datapath.hosts.host import Place
from appliance.datapath.layout import PORT_FAILED, Worker
from appliance.epochs import default_domain
from hooks.af_packet.socket import PacketSocket
from hooks.linux.if_packet import TP_STATUS_USER, tpacket2_hdr
from hooks.scheduling import run_first

BATCH = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64)


class LocalService:
    """A thread in native code, which has the GIL only between two calls of it."""

    def __init__(self, block: int, name: str, failed: Callable[[], None], ended: Callable[[], None]) -> None:
        self._block, self._failed, self._ended = block, failed, ended
        native = drive()  # compiled here, where it may fail, and not in the thread
        self._thread = threading.Thread(target=self._serve, args=(native,), name=name.replace(" ", "-"), daemon=True)
        self._thread.start()

    def _serve(self, native: Callable[[int], int]) -> None:
        if Worker.from_address(self._block).urgent:
            run_first()
        try:
            while native(self._block) == PORT_FAILED:
                self._failed()
        finally:
            self._ended()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout: float) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()


class LocalHost:
    """This process. Sockets and descriptors are what they are. Any thread."""

    def adopt(self, sockets: Iterable[PacketSocket]) -> None:
        """There is nothing to be done."""

    def leave(self, sockets: Iterable[PacketSocket]) -> None:
        """There is nothing to be done."""

    def place(self, socket: PacketSocket) -> Place:
        return Place(socket.receive_ring, socket.transmit_ring, socket.fileno(), socket.oversize_fileno())

    def eventfd(self, descriptor: int) -> int:
        return descriptor

    def leave_eventfd(self, descriptor: int) -> None:
        """There is nothing to be done."""

    def serve(self, block: int, name: str, failed: Callable[[], None], ended: Callable[[], None]) -> LocalService:
        return LocalService(block, name, failed, ended)

    def drain(self, block: int, ports: Collection[int], seconds: float) -> None:
        worker, end = Worker.from_address(block), time.monotonic() + seconds
        while any(_waits(worker, port) for port in ports) and time.monotonic() < end:
            with default_domain.reading(f"worker {worker.context.processor_id}, drained"):
                BATCH(worker.batch)(block)


def _waits(worker: Worker, index: int) -> bool:
    port = worker.ports[index]
    header = tpacket2_hdr.from_address(port.receive_ring + port.receive_next * port.slot_size)
    return bool(port.transmit_pending or header.tp_status & TP_STATUS_USER)


LOCAL: Final = LocalHost()
