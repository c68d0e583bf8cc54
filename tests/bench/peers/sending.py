"""Bounded streams of frames into what is measured, and what they cost: frames a second, processor time a frame.

    outside host          box                          inside host
    generator ─ veth ───> what is measured ── veth ──> counted, and let go by the stack
    SENDER's processor    in the kernel: there, too
                          a process: on contenders.ITS_OWN

Linux handles what comes out of a veth at once, in the softirq of whoever sent it. So the way through a peer in the
kernel is time of the sending loop, together with the cost of sending, which is the same for all.

The rate is that of one long stream as fast as the kernel sends; a process that is slower than that loses the rest. The
processor time is that of short streams with pauses, of which nobody loses any: of the sending loop by the kernel's own
clock, which leaves out what it prepares for a stream, and of the process between the hosts, if there is one, and the
ksoftirqd threads by the scheduler's account (/proc/PID/schedstat).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.bench.measuring import ALL_PROCESSORS
from tests.bench.peers.contenders import Standing
from tests.bench.peers.generator import Generator

SENDER = {min(ALL_PROCESSORS)}
MOST_FRAMES = 2_000_000  # in one stream
SHORT = 2048  # frames that a box's ring holds, should it sleep meanwhile
SETTLING_SECONDS = 0.02  # until what lies in a ring is handled


@dataclass(frozen=True, slots=True)
class Sample:
    """One window. `rate` is handled frames a second, `lost` the share of the long stream that nobody handled, `cost`
    nanoseconds of processor time a frame."""

    rate: float
    lost: float
    cost: float


def send(standing: Standing, generator: Generator, seconds: float) -> Sample:
    """Half of the time for the rate, half for the cost."""
    with standing.join.net.outside.entered(), _only_on(SENDER):
        cost = _cost(standing, generator, seconds / 2)
        rate, lost = _rate(standing, generator, seconds / 2)
    return Sample(rate, lost, cost)


def _rate(standing: Standing, generator: Generator, seconds: float) -> tuple[float, float]:
    """Handled frames a second, and the share that was lost."""
    count = max(SHORT, min(int(seconds * 1e9 / generator.send(SHORT)), MOST_FRAMES))
    handled, nanoseconds = _handled(standing, lambda: generator.send(count))
    return handled * 1e9 / (nanoseconds * count), 1 - handled / count


def _cost(standing: Standing, generator: Generator, seconds: float) -> float:
    """Nanoseconds of processor time for a frame."""
    pids = [*_ksoftirqd(), *([standing.join.pid] if standing.join.pid else [])]

    def streams() -> float:
        sending, before, end = 0.0, _spent(pids), time.perf_counter() + seconds
        for _ in range(MOST_FRAMES // SHORT):
            sending += generator.send(SHORT) * SHORT
            if time.perf_counter() > end:
                break
        time.sleep(SETTLING_SECONDS)
        return sending + _spent(pids) - before

    handled, spent = _handled(standing, streams)
    return spent / handled


def _handled(standing: Standing, measure: Callable[[], float]) -> tuple[int, float]:
    """How many frames were handled meanwhile, none of those from before, and what was measured."""
    time.sleep(SETTLING_SECONDS)
    before, measured = standing.handled(), measure()
    time.sleep(SETTLING_SECONDS)
    handled = standing.handled() - before
    if not handled:
        raise RuntimeError("no frame was handled")
    return handled, measured


def _spent(pids: Iterable[int]) -> int:
    """Nanoseconds that all threads of these processes have run."""
    tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


@cache
def _ksoftirqd() -> tuple[int, ...]:
    """The kernel's threads that take over when softirqs run for long."""
    names = {path.parent: path.read_text() for path in Path("/proc").glob("[0-9]*/comm") if path.exists()}
    return tuple(int(place.name) for place, name in names.items() if name.startswith("ksoftirqd/"))


@contextmanager
def _only_on(processors: Iterable[int]) -> Iterator[None]:
    """The calling thread on these processors; children that are started meanwhile would inherit it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
