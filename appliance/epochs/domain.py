"""The registry of readers, the global epoch, and the two ways to wait: `synchronize` and `retire`.

    epoch  ── 7 ────────── 8 ────────────────── 9 ──────>     goes on when somebody waits, and then only
                           │ take out, retire
    worker 0  7 7 7 ─┐     │    8 8 8 8          9            announces the epoch after each batch
    worker 1         └ 0 0 0 0 0 0 0 0 0 0 0 0 0              offline: an extended quiescent state
    test run        7 7 7 7 7 7 7 7 7 7 ┐                     in a section since epoch 7
                           │            └─> all that are online are at 8 or later: free

A reader at epoch 8 has read the global epoch after it became 8, so it sees what was taken out before, and what it found
earlier it has let go.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from appliance.epochs.errors import GracePeriodExpired
from appliance.epochs.ordering import fence
from appliance.epochs.readers import QUIESCENT, Reader

GRACE_SECONDS = 5.0  # a batch takes some microseconds; who takes this long hangs, or is a test run of many repeats
MOST_RETIRED = 256
FIRST_PAUSE, LONGEST_PAUSE = 20e-6, 2e-3  # seconds between two looks at who is still online

_CACHE_LINE = 64


@dataclass(frozen=True, slots=True)
class ReaderState:
    """One reader, seen once. `offline` is the extended quiescent state: it holds nothing, and nobody waits for it."""

    name: str
    epoch: int
    offline: bool


@dataclass(frozen=True, slots=True)
class DomainStatistics:
    """A snapshot: the global epoch, every reader, and how many things wait to be freed."""

    epoch: int
    readers: tuple[ReaderState, ...]
    retired: int


class Domain:
    """Readers, and those who wait for them. Every method may be called from any thread.

    `synchronize`, `retire` and `reclaim` free what is due in the thread that calls them, so none of them may be called
    with a lock held that freeing takes; and no Python code that they run may wait for readers.
    """

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2 * _CACHE_LINE)
        self.epoch_place = -(-ctypes.addressof(self._buffer) // _CACHE_LINE) * _CACHE_LINE  # a line that few write to
        self._word = ctypes.c_uint64.from_address(self.epoch_place)
        self._word.value = self._epoch = QUIESCENT + 1  # the same, for Python
        self._lock = threading.Lock()  # held for a moment, never while waiting
        self._native: set[Reader] = set()
        self._sections: set[Section] = set()
        self._retired: deque[tuple[int, Callable[[], object]]] = deque()  # by rising epoch
        self._freeing = threading.RLock()

    def announce_at(self, place: int) -> None:
        """Keep the epoch in 8 aligned bytes there from now on: in memory that readers in other processes see. Before
        anything reads it. Raises RuntimeError if native readers know the old place."""
        with self._lock:
            if self._native:
                raise RuntimeError("native readers look at the epoch where it is")
            self.epoch_place = place
            self._word = ctypes.c_uint64.from_address(place)
            self._word.value = self._epoch

    # readers

    def register(self, reader: Reader) -> None:
        """From now on it is waited for, whenever it is online. Before it first is."""
        with self._lock:
            self._native.add(reader)

    def unregister(self, reader: Reader) -> None:
        """It has ended, and holds nothing. Harmless if it never was registered."""
        with self._lock:
            self._native.discard(reader)

    def reading(self, what: str) -> Section:
        """A context manager around a native call, or whatever else uses addresses: nothing is freed under it.

        What it works on is to be looked up inside. `what` says who it is, for those who wait for it in vain.
        """
        return Section(self, what)

    def enter(self, section: Section) -> None:
        """The lock orders it: who advances the epoch later finds the section, who did so before is seen by it."""
        with self._lock:
            section.epoch = self._epoch
            self._sections.add(section)

    def leave(self, section: Section) -> None:
        """What it may have kept from being freed is freed."""
        with self._lock:
            self._sections.discard(section)
        if self._retired:
            self.reclaim()

    # waiting

    def synchronize(self, timeout: float = GRACE_SECONDS) -> None:
        """Wait until every reader that is online now has passed a quiescent state (at most `timeout` seconds), and free
        what was retired before. Several threads may wait at once.

        Raises GracePeriodExpired with the names of those it waited for: then nothing that they may hold is freed, and
        nothing may be used anew. Raises RuntimeError in a section of one's own, which would wait for itself.
        """
        with self._lock:
            if any(section.thread == threading.get_ident() for section in self._sections):
                raise RuntimeError("illegal synchronize() in a read-side critical section")
        epoch = self._advance()
        late = self._wait(epoch, timeout)
        with self._freeing:
            self._free(QUIESCENT if late else epoch)
        if late:
            raise GracePeriodExpired((reader.name for reader in late), timeout)

    def retire(self, free: Callable[[], object]) -> None:
        """Call `free` once every reader that is online now has passed a quiescent state: at once if there is none, else
        in the thread that next retires, reclaims, synchronizes or leaves a section. What it frees can't be reached
        any more. Never waits.
        """
        with self._lock:
            self._retired.append((self._advance_locked(), free))
        self.reclaim()

    def throttle(self, timeout: float = GRACE_SECONDS) -> None:
        """Wait if too much is retired already: what takes things out at will asks this first, and changes nothing if
        it raises GracePeriodExpired. So a reader that hangs costs a bounded amount of memory."""
        if len(self._retired) >= MOST_RETIRED:
            self.synchronize(timeout)

    def reclaim(self, patience: float = 0.0) -> int:
        """Free what is due, after waiting `patience` seconds at most for readers; how many things still wait."""
        passed = QUIESCENT
        if patience and (waiting := [*self._retired]) and not self._wait(waiting[-1][0], patience):
            passed = waiting[-1][0]
        if self._freeing.acquire(blocking=False):  # else somebody is at it
            try:
                self._free(passed)
            finally:
                self._freeing.release()
        return len(self._retired)

    def statistics(self) -> DomainStatistics:
        """Who reads, and what waits."""
        with self._lock:
            found = [(reader.name, reader.epoch) for reader in (*self._native, *self._sections)]
            states = tuple(ReaderState(name, epoch, epoch == QUIESCENT) for name, epoch in sorted(found))
            return DomainStatistics(self._epoch, states, len(self._retired))

    def _advance(self) -> int:
        with self._lock:
            return self._advance_locked()

    def _advance_locked(self) -> int:
        """Begin an epoch; its number. The fences order it for native readers: what was stored before is seen by whoever
        reads the new number, and by whoever comes online after it is seen offline."""
        if self._native:
            fence()
        self._epoch += 1
        self._word.value = self._epoch
        if self._native:
            fence()
        return self._epoch

    def _late(self, epoch: int) -> list[Reader]:
        """Those who are online, and were before that epoch began."""
        with self._lock:
            return [reader for reader in (*self._native, *self._sections) if QUIESCENT < reader.epoch < epoch]

    def _wait(self, epoch: int, seconds: float) -> list[Reader]:
        """Who is late still when the time is over. Somebody who goes offline, ends or leaves is not."""
        end, pause = time.monotonic() + seconds, FIRST_PAUSE
        while (late := self._late(epoch)) and (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)
        return late

    def _free(self, passed: int) -> None:
        """Call what is due, the oldest first; whatever one of them raises, all are called.

        Every reader is known to have `passed` a quiescent state in that epoch: one that has just woken may still
        announce an older one."""
        with self._lock:
            online = [epoch for reader in (*self._native, *self._sections) if (epoch := reader.epoch) != QUIESCENT]
            oldest = max(min(online, default=self._epoch), passed)
            due = []
            while self._retired and self._retired[0][0] <= oldest:
                due.append(self._retired.popleft()[1])
        with ExitStack() as calls:
            for free in reversed(due):
                calls.callback(free)


class Section:
    """A read-side critical section of a Python thread, made by `Domain.reading` and entered once: what it reads inside
    is not freed before it leaves. It may be entered inside another one. Only the thread that enters it leaves it."""

    __slots__ = ("_domain", "_what", "epoch", "thread")

    def __init__(self, domain: Domain, what: str) -> None:
        self._domain = domain
        self._what = what
        self.epoch = QUIESCENT
        self.thread = 0

    @property
    def name(self) -> str:
        return f"{self._what} (thread {self.thread})"

    def __enter__(self) -> None:
        self.thread = threading.get_ident()
        self._domain.enter(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._domain.leave(self)


# The one of this process: what it guards is the address space, of which there is one. A second would not be waited for.
default_domain: Final = Domain()
