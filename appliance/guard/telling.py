"""Denials, told by a thread of their own: whoever listens slowly, or not at all, keeps no call waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from appliance.closeable import Closeable
from appliance.guard.statistics import Denial

MOST_WAITING = 1000  # denials; what comes while so many wait is counted, and not told
LAST_WORDS = 1.0  # seconds for what waits still when it is closed


class Teller(Closeable):
    """Call it with a denial, and `tell` gets it soon. `untold` counts those that nobody heard of. A context manager;
    closing twice is harmless. Any thread."""

    def __init__(self, tell: Callable[[Denial], object]) -> None:
        self.untold = 0
        self._tell = tell
        self._waiting: queue.Queue[Denial | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="guard-denials", daemon=True)
        self._thread.start()

    def __call__(self, denial: Denial) -> None:
        try:
            self._waiting.put_nowait(denial)
        except queue.Full:
            self.untold += 1

    def _run(self) -> None:
        while (denial := self._waiting.get()) is not None:
            self._tell(denial)

    def close(self) -> None:
        """Tell the last ones, if somebody listens."""
        try:
            self._waiting.put(None, timeout=LAST_WORDS)
        except queue.Full:
            return
        self._thread.join(LAST_WORDS)
