"""Routing tables kept as the kernel's are, in the network namespace of whoever starts the feed.

netlink notice ──> wait until it is quiet ──> read everything ──> publish
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from appliance.closeable import Closeable
from appliance.errors import TidegateError
from appliance.helpers.routing.tables import RoutingTables
from appliance.jit.loaded import LoadedProgram
from hooks.routing.watch import RoutingWatch

QUIET_SECONDS = 0.05  # changes come in crowds
ASKING = frozenset({"fib_lookup", "check_mtu"})


def ask_for_routes(programs: Iterable[LoadedProgram]) -> bool:
    """Whether one of the programs calls a helper that reads routing tables."""
    return any(ASKING & program.helpers for program in programs)


class RoutingFeed(Closeable):
    """Feeds `tables` until it is closed; they stay as they are then. A context manager; closing twice is harmless.
    It has a thread of its own; one other makes and closes it."""

    def __init__(self, tables: RoutingTables, on_failure: Callable[[str], None] = lambda reason: None) -> None:
        """Feed them once, and begin to follow. Raises HookError if the kernel does not tell its routes, CannotRun if
        there are too many; later on `on_failure` is told so, and the tables stay as they are until the next change."""
        self._tables = tables
        self._on_failure = on_failure
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._closed = False
        with ExitStack() as opened:
            opened.callback(os.close, self._stop)
            self._watch = opened.enter_context(RoutingWatch())
            tables.publish(self._watch.read())
            self._opened = opened.pop_all()
        self._thread = threading.Thread(target=self._follow, name="routing", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while self._watch.wait(self._stop):
            time.sleep(QUIET_SECONDS)
            self._watch.drain()
            try:
                self._tables.publish(self._watch.read())
            except TidegateError as error:
                self._on_failure(str(error))

    def close(self) -> None:
        if not self._closed:
            os.eventfd_write(self._stop, 1)
            self._thread.join()
            self._opened.close()
            self._closed = True
