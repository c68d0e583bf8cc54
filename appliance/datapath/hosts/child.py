"""A process that runs code and does nothing else: what it is asked, and what it has for that.

    link     the images of one order, once: checked, mapped, and from then on no code can be added   (`seal`)
    adopt    sockets, whose rings it maps; eventfds
    serve    a worker's block, in a thread that stays in native code
    join, drain, leave
    view     second views of rings that were made in the arena since it was forked

It has the arena from its birth. When nobody asks any more it ends, and its threads with it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from appliance.datapath.driver import drive
from appliance.datapath.hosts.channel import Answerer
from appliance.datapath.hosts.local import LOCAL
from appliance.datapath.hosts.order import Check, read_order
from appliance.datapath.layout import PORT_FAILED, Worker
from appliance.ir import Engine, NativeCode
from appliance.memory import Arena
from appliance.memory.arena import Mirror
from hooks.af_packet.geometry import Geometry
from hooks.af_packet.socket import PacketSocket
from hooks.scheduling import run_as_others, run_first


class Child:
    """Answers until nobody asks, in one thread; those that serve are its own. `check` is asked before code is linked,
    `seal` called behind it."""

    def __init__(self, connection: socket.socket, arena: Arena, check: Check, seal: Callable[[], None]) -> None:
        self._answerer = Answerer(connection)
        self._arena = arena
        self._check = check
        self._seal = seal
        self._engines: list[Engine] = []
        self._sockets: dict[int, PacketSocket] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._verbs: dict[str, Callable[..., dict[str, Any]]] = {
            "link": self._link,
            "adopt": self._adopt,
            "eventfd": self._eventfd,
            "leave_eventfd": self._leave_eventfd,
            "leave": self._leave,
            "serve": self._serve,
            "join": self._join,
            "drain": self._drain,
            "view": self._view,
        }

    def run(self) -> None:
        """Until nobody asks any more. Native threads may be at work still: who returns from this ends the process."""
        while (asked := self._answerer.next()) is not None:
            question, descriptors = asked
            values = {name: value for name, value in question.items() if name not in ("verb", "sequence")}
            try:
                answer = self._verbs[question["verb"]](descriptors, **values)
            except Exception as error:
                self._answerer.refuse(question, error)
            else:
                self._answerer.answer(question, **answer)

    def _link(self, descriptors: list[int]) -> dict[str, Any]:
        if self._engines:
            raise PermissionError("code was linked already, and none can be added")
        order = read_order(*descriptors)
        images = self._check(order.payload)
        addresses: dict[str, int] = dict(order.memory)
        for image in reversed(images):
            code = NativeCode(image.data, b"", image.exports, frozenset(image.symbols), 0.0)
            engine = Engine(code, addresses, needed=self._engines)
            self._engines.append(engine)
            addresses |= {name: engine.address(name) for name in image.exports}
        self._seal()
        return {"addresses": {name: address for name, address in addresses.items() if name not in order.memory}}

    def _view(self, descriptors: list[int], mirrors: list[tuple[int, int, int]], huge: list[Any]) -> dict[str, Any]:
        self._arena.adopt((Mirror(*each) for each in mirrors), huge)
        return {}

    def _adopt(self, descriptors: list[int], number: int, interface: str, geometry: list[int]) -> dict[str, Any]:
        rings, oversize = descriptors
        adopted = PacketSocket.adopt((rings, oversize), interface, Geometry(*geometry))
        self._sockets[number] = adopted
        place = LOCAL.place(adopted)
        return {"place": [place.receive_ring, place.transmit_ring, place.fd, place.oversize_fd]}

    def _eventfd(self, descriptors: list[int], at: int | None) -> dict[str, Any]:
        """Keep it; at that number, where code has it in memory already."""
        (descriptor,) = descriptors
        if at is None or at == descriptor:
            return {"descriptor": descriptor}
        if _is_open(at):
            raise FileExistsError(f"the descriptor {at} is another one here")
        os.dup2(descriptor, at, inheritable=False)
        os.close(descriptor)
        return {"descriptor": at}

    def _leave_eventfd(self, descriptors: list[int], descriptor: int) -> dict[str, Any]:
        os.close(descriptor)
        return {}

    def _leave(self, descriptors: list[int], number: int) -> dict[str, Any]:
        self._sockets.pop(number).close()
        return {}

    def _serve(self, descriptors: list[int], block: int, name: str) -> dict[str, Any]:
        known = self._threads.get(block)
        if known is not None and known.is_alive():
            raise RuntimeError(f"{name} is served already")
        worker = Worker.from_address(block)
        worker.served = 1
        thread = threading.Thread(target=self._drive, args=(worker, block), name=name, daemon=True)
        self._threads[block] = thread
        thread.start()
        return {}

    def _drive(self, worker: Worker, block: int) -> None:
        native = drive()
        if worker.urgent:
            run_first()
        else:
            run_as_others()
        try:
            while native(block) == PORT_FAILED:
                self._take_errors(worker)
        finally:
            worker.served = 0

    def _take_errors(self, worker: Worker) -> None:
        """Of the sockets that failed, so that they are not polled for it again."""
        failed = {port.fd for port in worker.ports[: worker.port_count] if port.failed}
        for port in worker.ports[: worker.port_count]:
            port.failed = 0
        for each in [*self._sockets.values()]:
            if each.fileno() in failed:
                each.take_error()

    def _join(self, descriptors: list[int], block: int, seconds: float) -> dict[str, Any]:
        thread = self._threads.get(block)
        if thread is not None:
            thread.join(seconds)
        return {"ended": thread is None or not thread.is_alive()}

    def _drain(self, descriptors: list[int], block: int, ports: list[int], seconds: float) -> dict[str, Any]:
        LOCAL.drain(block, ports, seconds)
        return {}


def _is_open(descriptor: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def live(connection: socket.socket, arena: Arena, check: Check, seal: Callable[[], None]) -> None:
    """Be such a process, and never return."""
    status = 1
    try:
        Child(connection, arena, check, seal).run()
        status = 0
    except BaseException as error:
        sys.stderr.write(f"tidegate: datapath: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
    finally:
        os._exit(status)
