"""A process that lets everything go on if the one that serves dies.

    server ── writes what it is at into shared memory ──┐
       × dies                                           v
    standby ── was waiting for that ── answers those ── then every call: "go on", until nobody is watched any more

Without one, whoever is watched gets ENOSYS from then on (seccomp_unotify(2)).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import signal
from contextlib import suppress
from types import TracebackType
from typing import NoReturn

from hooks.seccomp.listener import Listener, Notification

PLACES = 1 << 16  # calls that are served at once


class Standby:
    """The process, and what it would have to answer. A context manager; closing twice is harmless, and ends it. Any
    thread enters and leaves."""

    def __init__(self, listener: Listener) -> None:
        """To be made while there is one thread."""
        self._memory = mmap.mmap(-1, PLACES * ctypes.sizeof(ctypes.c_uint64))
        self._served = (ctypes.c_uint64 * PLACES).from_buffer(self._memory)
        self._free = [*range(PLACES)]
        self._places: dict[int, int] = {}  # by the call's number
        server = os.pidfd_open(os.getpid())
        self._process = os.fork()
        if self._process == 0:
            self._stand_by(server, listener)
        os.close(server)

    def enter(self, notification: Notification) -> None:
        """The call is being served from now on."""
        place = self._places[notification.id] = self._free.pop()
        self._served[place] = notification.id

    def leave(self, notification: Notification) -> None:
        """The call has been answered, or nobody waits for it any more."""
        place = self._places.pop(notification.id)
        self._served[place] = 0
        self._free.append(place)

    def close(self) -> None:
        """End it."""
        process, self._process = self._process, 0
        if process:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _stand_by(self, server: int, listener: Listener) -> NoReturn:
        """The process: nothing of Python's may come back from here."""
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
                signal.signal(number, signal.SIG_IGN)
            ready = select.poll()
            ready.register(server, select.POLLIN)
            ready.poll()
            for number in filter(None, self._served):
                listener.continue_(Notification(number, 0, 0, ()))
            _let_go_on(listener)
        finally:
            os._exit(0)

    def __enter__(self) -> Standby:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _let_go_on(listener: Listener) -> None:
    ready = select.poll()
    ready.register(listener, select.POLLIN)
    while True:
        if not any(events & select.POLLIN for _, events in ready.poll()):
            return
        notification = listener.receive()
        if notification is not None:
            listener.continue_(notification)
