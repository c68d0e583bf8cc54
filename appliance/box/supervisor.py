"""Are the workers at work? A thread that looks twice a second, whatever the box's main thread is busy with.

    batches go on, or it sleeps and wakes once a second ──> alive
    nothing for HUNG_SECONDS ──> hung          a program does not return, or a lock is never released
    its thread has ended     ──> dead          an exception outside of native code

What it sees is in the metrics and in the status that the service manager shows; while all is well it also tells the
service manager so (WATCHDOG=1). The main thread asks `check` and ends the box if `on_failure` says so. Should the main
thread not get there (it waits for the worker itself, say), `last_resort` ends the process from here.

How long nothing happened is summed up from look to look, each worth a second at most: a machine that was suspended, or
a process that was stopped, does not take its own absence for that of a worker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from appliance.box.sd_notify import notify, watchdog_wanted
from appliance.closeable import Closeable
from appliance.datapath.worker import Progress
from appliance.errors import CannotRun

LOOK_SECONDS = 0.5
HUNG_SECONDS = 3.0  # an idle worker wakes once a second
DEAD_LOOKS = 2  # that a thread has ended is believed at the second look: the box may be ending it itself
LAST_RESORT_SECONDS = 15.0  # from the failure on; putting everything back takes less


class Condition(StrEnum):
    """How a worker is."""

    ALIVE = "alive"
    HUNG = "hung"
    DEAD = "dead"


class WorkerFailed(CannotRun):
    """A worker hangs or has died, and the box is to end then."""


@dataclass
class WorkerHealth:
    """One worker as it was seen last. `last_progress` in seconds since 1970; `quiet` in seconds.
    One thread looks, any may read."""

    condition: Condition = Condition.ALIVE
    last_progress: float = field(default_factory=time.time)
    quiet: float = 0.0
    ended_looks: int = 0
    seen: Progress | None = None

    def look(self, seen: Progress, elapsed: float) -> None:
        """Take in how far it is now, `elapsed` seconds after the last look."""
        self.ended_looks = 0 if seen.alive else self.ended_looks + 1
        if self.seen is None or (seen.batches, seen.frames) != (self.seen.batches, self.seen.frames):
            self.quiet, self.last_progress = 0.0, time.time()
        else:
            self.quiet += min(elapsed, 2 * LOOK_SECONDS)
        self.seen = seen
        if self.ended_looks >= DEAD_LOOKS:
            self.condition = Condition.DEAD
        else:
            self.condition = Condition.HUNG if self.quiet > HUNG_SECONDS else Condition.ALIVE


class Supervisor(Closeable):
    """Watches until it is closed. `health` and `check` are for every thread."""

    def __init__(
        self,
        workers: int,
        progress: Callable[[], Sequence[Progress]],
        *,
        exits: Callable[[], bool],
        log: Callable[[str], None],
        last_resort: Callable[[], None],
    ) -> None:
        """`progress` tells how far the workers are, and nothing while none is wanted; `exits` whether a failure is to
        end the box."""
        self.health = {str(number): WorkerHealth() for number in range(workers)}
        self._progress, self._exits, self._log, self._last_resort = progress, exits, log, last_resort
        self._failed_at: float | None = None
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises WorkerFailed if a worker hangs or is dead and the box is to end then."""
        if self._exits() and (failed := self._failures()):
            raise WorkerFailed(failed, hint="`on_failure: stay` would keep the box as it is, to be looked at")

    def _failures(self) -> str:
        words = {Condition.HUNG: "hangs", Condition.DEAD: "has died"}
        return ", ".join(
            f"worker {name} {words[health.condition]}"
            for name, health in self.health.items()
            if health.condition in words
        )

    def _watch(self) -> None:
        before, told = time.monotonic(), ""
        while not self._ends.wait(LOOK_SECONDS):
            now = time.monotonic()
            for health, seen in zip(self.health.values(), self._progress(), strict=False):
                health.look(seen, now - before)
            before = now
            told = self._tell(told)
            if self._failed_at is not None and now - self._failed_at > LAST_RESORT_SECONDS:
                self._last_resort()
                return

    def _tell(self, told: str) -> str:
        """Say what has changed, and ping the service manager unless the box is to end; what was said."""
        failures = self._failures()
        exits = self._exits()
        if failures != told:
            self._log(failures or "all workers are at work again")
            notify(f"STATUS={failures or 'all workers are at work again'}")
        if not failures or not exits:
            self._failed_at = None
            if watchdog_wanted():
                notify("WATCHDOG=1")
        elif self._failed_at is None:
            self._failed_at = time.monotonic()
        return failures

    def close(self) -> None:
        self._ends.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(2 * LOOK_SECONDS)
