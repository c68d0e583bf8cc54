"""A process for one generation of code: its host, as the director sees it, and the code in it.

with Zygote(arena, check) as zygote:
    code = start_code(zygote, LinkOrder(payload, memory))      # linked, and sealed
    datapath.swap(Run.of(code))
    …
    code.close()                              # the process ends with the last one who holds the code
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress

from appliance.datapath.hosts.channel import Asker, HostFailed
from appliance.datapath.hosts.host import Place
from appliance.datapath.hosts.order import LinkOrder, write_order
from appliance.datapath.hosts.zygote import Zygote
from appliance.datapath.layout import Worker
from appliance.epochs import default_domain
from hooks.af_packet.socket import PacketSocket
from hooks.process import processor_seconds

LINK_SECONDS = 20.0


class ProcessHost:
    """One process. See Host; any thread."""

    def __init__(self, zygote: Zygote) -> None:
        """Have it made. Raises HostFailed."""
        connection, self.pidfd, self.pid = zygote.fork()
        self.asker = Asker(connection)
        self._places: dict[PacketSocket, Place] = {}
        self._eventfds: dict[int, int] = {}
        self._ended = False
        self._seconds = 0.0

    def adopt(self, sockets: Iterable[PacketSocket]) -> None:
        for each in sockets:
            if each not in self._places:
                geometry = each.geometry
                sizes = (geometry.slot_size, geometry.receive_slots, geometry.transmit_slots, geometry.headroom)
                answer = self.asker.ask(
                    "adopt", each.descriptors, number=each.fileno(), interface=each.interface, geometry=sizes
                )
                self._places[each] = Place(*answer["place"])

    def leave(self, sockets: Iterable[PacketSocket]) -> None:
        for each in sockets:
            if self._places.pop(each, None) is not None and self.alive:
                self.asker.ask("leave", number=each.fileno())

    def place(self, socket: PacketSocket) -> Place:
        return self._places[socket]

    def eventfd(self, descriptor: int) -> int:
        if descriptor not in self._eventfds:
            answer = self.asker.ask("eventfd", [descriptor], at=None)
            self._eventfds[descriptor] = int(answer["descriptor"])
        return self._eventfds[descriptor]

    def leave_eventfd(self, descriptor: int) -> None:
        known = self._eventfds.pop(descriptor, None)
        if known is not None and self.alive:
            self.asker.ask("leave_eventfd", descriptor=known)

    def serve(self, block: int, name: str, failed: Callable[[], None], ended: Callable[[], None]) -> ProcessService:
        self.asker.ask("serve", block=block, name=name)
        return ProcessService(self, block, ended)

    def drain(self, block: int, ports: Collection[int], seconds: float) -> None:
        self.asker.ask("drain", block=block, ports=[*ports], seconds=seconds, wait=seconds)

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        if self._ended:
            return False
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not poll.poll(0)

    @property
    def processor_seconds(self) -> float:
        """What its threads have had of processors; once it has ended, what was last known."""
        if not self._ended:
            self._seconds = processor_seconds(self.pid) or self._seconds
        return self._seconds

    def end(self) -> None:
        """Let it end. Nothing may be served by it any more. Ending twice is harmless."""
        if not self._ended:
            _ = self.processor_seconds
            self._ended = True
            self.asker.close()
            os.close(self.pidfd)


class ProcessService:
    """A thread of that process."""

    def __init__(self, host: ProcessHost, block: int, ended: Callable[[], None]) -> None:
        self._host, self._block, self._end = host, block, ended
        self._worker = Worker.from_address(block)

    @property
    def alive(self) -> bool:
        if self._worker.served and self._host.alive:
            return True
        self._end()
        return False

    def join(self, timeout: float) -> bool:
        ended = not self._host.alive
        with suppress(HostFailed):
            ended = ended or self._host.asker.ask("join", block=self._block, seconds=timeout, wait=timeout)["ended"]
        ended = ended or not self._host.alive
        if ended:
            self._end()
        return ended


class ProcessCode:
    """Code that was linked there. See Code; any thread."""

    def __init__(self, host: ProcessHost, addresses: Mapping[str, int]) -> None:
        self.host = host
        self._addresses = addresses
        self._holders = 0
        self._given_up = False
        self._lock = threading.Lock()

    def address(self, name: str) -> int:
        if self._given_up and not self._holders:
            raise RuntimeError("the code is closed")
        return self._addresses[name]

    def hold(self) -> None:
        with self._lock:
            if self._given_up and not self._holders:
                raise RuntimeError("the code is closed")
            self._holders += 1

    def release(self) -> None:
        with self._lock:
            self._holders -= 1
            ends = self._given_up and not self._holders
        if ends:
            default_domain.retire(self.host.end)

    def close(self) -> None:
        with self._lock:
            ends = not self._given_up and not self._holders
            self._given_up = True
        if ends:
            default_domain.retire(self.host.end)


def start_code(zygote: Zygote, order: LinkOrder, eventfds: Iterable[int] = ()) -> ProcessCode:
    """A process that has linked the order. `eventfds` are those whose numbers stand in the arena. Raises HostFailed,
    with the words of whoever refused it; no process is left then."""
    host = ProcessHost(zygote)
    try:
        arena = zygote.arena
        for descriptor in eventfds:
            host.asker.ask("eventfd", [descriptor], at=descriptor)
        mirrors = [(each.address, each.size, each.offset) for each in arena.mirrors]
        host.asker.ask("view", mirrors=mirrors, huge=arena.huge)
        file = write_order(order)
        try:
            answer = host.asker.ask("link", [file], wait=LINK_SECONDS)
        finally:
            os.close(file)
        return ProcessCode(host, answer["addresses"])
    except BaseException:
        host.end()
        raise
