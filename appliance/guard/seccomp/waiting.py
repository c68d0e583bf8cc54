"""Calls that may take long (a connection on a socket that waits): each in a thread, so that nobody else waits for it.

    supervisor ── job ──> line ──> one of at most MOST threads: performs it and answers
                                        ^
    watch, 20 times a second ───────────┘ interrupts what nobody waits for any more, or whose caller got a signal

A held call can't be interrupted by the kernel (WAIT_KILLABLE_RECV), or a bind might be performed twice. For a call that
takes long that would make a process deaf; so the watch looks whether a signal waits for it. The call is then broken off
as the kernel would: it is made anew behind the signal's handler, or fails with EINTR (ERESTARTSYS is what says so, and
means something only to a thread that has a signal to take).
"""

from __future__ import annotations

import errno
import logging
import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

from appliance.closeable import Closeable
from hooks.seccomp.listener import Listener, Notification
from hooks.seccomp.pending import PendingSignals

_LOGGER = logging.getLogger(__name__)

MOST = 256  # threads; more calls than that wait in line
TICK = 0.05  # seconds between two looks at what waits
ERESTARTSYS = 512  # include/linux/errno.h
INTERRUPT = signal.SIGRTMIN + 6  # breaks off a system call of a thread of this process


@dataclass(slots=True, eq=False)
class Job:
    """One call: `perform` makes it and gives its result, `finish` is given that. For the threads of `Waiting`."""

    notification: Notification
    perform: Callable[[], int]
    finish: Callable[[int], None]
    thread: int = 0
    heard: bool = False  # a signal of any thread's waited at the last look
    broken_off: int = 0  # what to answer instead of EINTR


class Waiting(Closeable):
    """The threads, and the jobs that they are at. A context manager; closing twice is harmless. Any thread hands jobs
    in; the main thread makes it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = threading.Condition()
        self._line: deque[Job] = deque()
        self._running: set[Job] = set()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, name="guard-watch", daemon=True)
        self._before = signal.signal(INTERRUPT, _ignore)
        self._watch.start()

    def hand_in(self, job: Job) -> None:
        """Have it performed as soon as a thread is free."""
        with self._lock:
            self._line.append(job)
            if self._idle < len(self._line) and len(self._threads) < MOST:
                thread = threading.Thread(target=self._work, name=f"guard-waiting-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._lock.notify()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            result = _performed(job)
            with self._lock:
                self._running.discard(job)
            job.finish(job.broken_off if result == -errno.EINTR and job.broken_off else result)

    def _next(self) -> Job | None:
        with self._lock:
            self._idle += 1
            while not self._line and not self._ended.is_set():
                self._lock.wait()
            self._idle -= 1
            if self._ended.is_set():
                return None
            job = self._line.popleft()
            job.thread = threading.get_ident()
            self._running.add(job)
            return job

    def _look(self) -> None:
        while not self._ended.wait(TICK):
            with self._lock:
                for job in self._running:
                    if self._is_over(job):
                        with suppress(ProcessLookupError):
                            signal.pthread_kill(job.thread, INTERRUPT)

    def _is_over(self, job: Job) -> bool:
        """Whether the call is to be broken off."""
        if not self._listener.valid(job.notification):
            return True
        try:
            pending = PendingSignals.of(job.notification.thread)
        except OSError:
            return True
        if pending.certain:
            job.broken_off = -ERESTARTSYS
        # Another thread that could take it would have done so by the second look.
        over = pending.certain or (bool(pending.shared) and job.heard)
        job.heard = bool(pending.shared)
        return over

    def close(self) -> None:
        """What is performed is broken off."""
        with self._lock:
            self._ended.set()
            self._line.clear()
            self._lock.notify_all()
        self._watch.join()
        for thread in self._threads:
            while thread.is_alive():
                with suppress(ProcessLookupError):
                    signal.pthread_kill(thread.ident or 0, INTERRUPT)
                thread.join(TICK)
        if threading.current_thread() is threading.main_thread() and self._before is not None:
            signal.signal(INTERRUPT, self._before)
            self._before = None


def _performed(job: Job) -> int:
    """Whatever happens, there is a result: whoever waits must not wait for ever."""
    try:
        return job.perform()
    except OSError as error:
        return -(error.errno or errno.EIO)
    except Exception:
        _LOGGER.exception("a call could not be performed")
        return -errno.EPERM


def _ignore(number: int, frame: FrameType | None) -> None:
    """That a system call was broken off is all that it is for."""
