"""The running datapath: interfaces wired to one another, served by workers, over code that can be exchanged.

outside ──> program `in`  ──PASS──> inside          inline
inside  ──> program `out` ──PASS──> outside
outside ──> program `in`  ──(counted, never sent)   tap
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from appliance.closeable import Closeable
from appliance.datapath import statistics
from appliance.datapath.layout import Port
from appliance.datapath.statistics import InterfaceStatistics
from appliance.datapath.wiring import Passage, Plan, plan
from appliance.datapath.worker import NO_SERVICES, Progress, Run, Wiring, WorkerThread
from appliance.epochs import GRACE_SECONDS, GracePeriodExpired, default_domain
from appliance.errors import CannotRun
from appliance.helpers.services import RuntimeServices
from appliance.memory import PRIVATE, Reserve
from hooks.af_packet import handover
from hooks.af_packet.geometry import Geometry
from hooks.af_packet.socket import PacketSocket
from hooks.interfaces.netdev import Interface
from hooks.linux.if_packet import ETH_HLEN
from hooks.opener.opener import LOCAL, Opener
from hooks.scheduling import leaves_a_processor

STAMPS_SECONDS = 0.05  # until the kernel stamps frames: it patches itself for that, in a thread of its own
OVERLAP_SECONDS = 0.0005  # in which both sockets accept; longer than a processor is at the taps of one frame
DRAIN_SECONDS = 0.2  # what can't leave is given up after 0.1 s (see `kick`)


class Datapath(Closeable):
    """Sockets, rings and workers on a set of passages. A context manager; closing twice is harmless.

    Any thread may call `swap`, `statistics` and `progress`; one opens, rewires and closes it.
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
        reserve: Reserve = PRIVATE,
        opener: Opener = LOCAL,
    ) -> None:
        """Have `opener` open every ring, and begin to serve. Raises HookError; then nothing stays open."""
        self._opener = opener
        urgent = leaves_a_processor(workers)
        self._threads = [
            WorkerThread(
                number, (), services=services, spin=spin, urgent=urgent, on_failure=on_failure, reserve=reserve
            )
            for number in range(workers)
        ]
        self._swapping = threading.Lock()  # held while code is published, and while workers move to another host
        self._host = run.host
        self._counting = threading.Lock()  # held while counts are read, and while ports become others
        self._closed: dict[str, InterfaceStatistics] = {}  # what sockets counted that are closed
        self._flow_key = secrets.randbits(32)
        planned = plan(passages, [() for _ in self._threads], self._flow_key, opener)
        try:
            for thread, wirings in zip(self._threads, planned.wirings, strict=True):
                thread.rewire(wirings)
            run.host.adopt(planned.all_opened)
            for opened in planned.all_opened:
                opened.unmute()
            for thread in self._threads:
                thread.start(run)
        except BaseException:
            self.close()
            planned.close()
            raise

    def rewire(self, passages: Sequence[Passage], timeout: float = GRACE_SECONDS) -> int:
        """Serve these passages from now on, with the sockets that are open where they can serve. No frame is lost or
        reordered but those that find no place: new rings are open before the workers pause, old ones are served to
        their ends, and what arrives in the some milliseconds of the pause waits in the rings.

        Answers how many frames stood in rings that closed all the same; `statistics` counts them as `rings_closed`.
        Raises HookError, all going on as before, or GracePeriodExpired if a worker does not pause within `timeout`
        seconds: then the others go on, and the sockets are what they were.
        """
        planned = plan(passages, [thread.wirings for thread in self._threads], self._flow_key, self._opener)
        try:
            self._host.adopt(planned.all_opened)
            _await_stamps(planned.all_opened)
        except BaseException:
            planned.close()
            raise
        with self._swapping:
            return self._exchange(planned, timeout)

    def _exchange(self, planned: Plan, timeout: float) -> int:
        """Pause, and go on with the sockets of the plan: see `rewire`."""
        try:
            self._pause(timeout)
        except BaseException:
            planned.close()
            raise
        try:
            leaving = [
                _leaving(thread, wirings) for thread, wirings in zip(self._threads, planned.wirings, strict=True)
            ]
            self._hand_over(planned, leaving)
            lost = self._replace_ports(planned, leaving)
        finally:
            for thread in self._threads:
                thread.resume()
        closing = [wiring.socket for ports in leaving for wiring in ports.values()]
        self._host.leave(closing)
        for each in closing:
            each.close()
        return lost

    def _pause(self, timeout: float) -> None:
        """Pause every worker, or none."""
        hung = self._end_each(WorkerThread.pause, timeout)
        if hung:
            for thread in self._threads:
                if thread.paused:
                    thread.resume()
            raise GracePeriodExpired(hung, timeout)

    def _end_each(self, end_it: Callable[[WorkerThread, float], None], timeout: float) -> list[str]:
        """Tell all to stop, then end one after the other; the names of those that don't in time."""
        end, hung = time.monotonic() + timeout, list[str]()
        for thread in self._threads:
            thread.stop()
        for thread in self._threads:
            try:
                end_it(thread, max(0.0, end - time.monotonic()))
            except GracePeriodExpired as expired:
                hung += expired.readers
        return hung

    def _hand_over(self, planned: Plan, leaving: Sequence[Mapping[int, Wiring]]) -> None:
        """Let the new sockets accept frames, the leaving ones accept no more, and serve what these have."""
        for opened in planned.all_opened:
            opened.unmute()
        if planned.opened:
            time.sleep(OVERLAP_SECONDS)
        for ports in leaving:
            for wiring in ports.values():
                wiring.socket.mute()
        if any(leaving):
            time.sleep(OVERLAP_SECONDS)
        for thread, ports in zip(self._threads, leaving, strict=True):
            for index, wiring in ports.items():
                if wiring.ifindex in planned.opened:
                    known = handover.stamps(planned.opened[wiring.ifindex])
                    handover.leave_out(wiring.socket, thread.block.ports[index].receive_next, known)
            thread.drain(ports, DRAIN_SECONDS)
        for opened in planned.all_opened:
            opened.stamp(False)

    def _replace_ports(self, planned: Plan, leaving: Sequence[Mapping[int, Wiring]]) -> int:
        """Keep what the leaving ports counted, and give the workers their new ones; how many frames still waited."""
        lost = 0
        with self._counting:
            for thread, ports in zip(self._threads, leaving, strict=True):
                for index, wiring in ports.items():
                    waiting = _finish(thread.block.ports[index], wiring.socket)
                    lost += waiting
                    name = wiring.socket.interface
                    part = _counted(thread, index) + InterfaceStatistics.left_behind(waiting)
                    self._closed[name] = self._closed.get(name, InterfaceStatistics()) + part
            for thread, wirings in zip(self._threads, planned.wirings, strict=True):
                thread.rewire(wirings)
        return lost

    def swap(self, run: Run, timeout: float = GRACE_SECONDS, *, before: Callable[[], None] = lambda: None) -> None:
        """Go on with other code; returns when no worker uses the old code any more. No frame is lost or reordered:
        what arrives meanwhile waits in the rings.

        Any thread may call it; of two that swap at once, all workers go on with the code of the same one. Raises
        GracePeriodExpired after `timeout` seconds: the new code is published, and the old one kept for who is late.
        If the new code is in another host, the old code judges on then, and if that raises CannotRun as well.
        `before` is called in front of it: what it raises is raised. No other host's code runs meanwhile.
        """
        with self._swapping:
            if run.host is self._host:
                before()
                for thread in self._threads:
                    thread.publish(run)
            else:
                self._move(run, timeout, before)
        default_domain.synchronize(timeout)

    def _move(self, run: Run, timeout: float, prepare: Callable[[], None]) -> None:
        """Pause the workers, and let them go on in the code's host."""
        run.host.adopt(wiring.socket for thread in self._threads for wiring in thread.wirings)
        before = [thread.published for thread in self._threads]
        self._pause(timeout)
        moved: list[WorkerThread] = []
        try:
            prepare()
            for thread in self._threads:
                thread.start(run)
                moved.append(thread)
            self._host = run.host
        except BaseException:
            for thread in moved:
                thread.stop()
            for thread in moved:
                thread.pause(timeout)
            for thread, old in zip(self._threads, before, strict=True):
                thread.start(old)
            raise

    def progress(self) -> tuple[Progress, ...]:
        """How far each worker has come."""
        return tuple(thread.progress() for thread in self._threads)

    def follow_mtu(self, interface: Interface) -> bool:
        """Let frames as long as the interface's MTU is now leave by it, and no longer ones, from the next frame on.

        False if the slots of its rings have no room for such frames; then it stays as it was.
        """
        ports = [
            (wiring.socket, thread.block.ports[index])
            for thread in self._threads
            for index, wiring in enumerate(thread.wirings)
            if wiring.ifindex == interface.index
        ]
        needed = Geometry.for_mtu(interface.mtu).slot_size
        if any(opened.geometry.slot_size < needed for opened, _ in ports):
            return False
        for _, port in ports:
            port.max_frame = interface.mtu + ETH_HLEN
        return True

    def statistics(self) -> dict[str, InterfaceStatistics]:
        """A snapshot by interface name, summed over the workers and over all sockets that there were."""
        with self._counting:
            result = dict(self._closed)
            for thread in self._threads:
                for index, wiring in enumerate(thread.wirings):
                    name = wiring.socket.interface
                    result[name] = result.get(name, InterfaceStatistics()) + _counted(thread, index)
            return result

    def halt(self, timeout: float = GRACE_SECONDS) -> None:
        """End the workers. The rings stay, and so do the counts, which are final now: what still waits never left.

        Raises GracePeriodExpired if some don't end within `timeout` seconds, after the others.
        """
        hung = self._end_each(WorkerThread.close, timeout)
        if hung:
            raise GracePeriodExpired(hung, timeout)
        for thread in self._threads:
            for port in thread.block.ports[: len(thread.wirings)]:
                _give_up_pending(port)

    def close(self) -> None:
        """End the workers, then close the rings. Raises GracePeriodExpired: then the rings stay, as they are used."""
        self.halt()
        with suppress(CannotRun):  # a host that is gone has forgotten them
            self._host.leave(wiring.socket for thread in self._threads for wiring in thread.wirings)
        for thread in self._threads:
            for wiring in thread.wirings:
                wiring.socket.close()
            thread.give_back()


def _await_stamps(sockets: Sequence[PacketSocket]) -> None:
    """Have frames stamped, those of the sockets in service as well, so that copies are known for what they are."""
    for each in sockets:
        each.stamp(True)
    if sockets:
        time.sleep(STAMPS_SECONDS)


def _leaving(thread: WorkerThread, wirings: Sequence[Wiring]) -> dict[int, Wiring]:
    """Those of the worker's ports whose sockets are not among the new ones, by their index."""
    staying = {wiring.socket for wiring in wirings}
    return {index: wiring for index, wiring in enumerate(thread.wirings) if wiring.socket not in staying}


def _finish(port: Port, socket: PacketSocket) -> int:
    """Give up what waits to be sent by a port that closes; how many frames wait in its receive ring."""
    _give_up_pending(port)
    return handover.unserved(socket, port.receive_next)


def _give_up_pending(port: Port) -> None:
    port.counters.transmit_failed += port.transmit_pending
    port.transmit_pending = port.transmit_pending_bytes = 0


def _counted(thread: WorkerThread, index: int) -> InterfaceStatistics:
    return statistics.of_port(thread.block.ports[index].counters, thread.wirings[index].socket.statistics())
