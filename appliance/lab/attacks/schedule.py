"""How many frames are due, by a rate."""

from __future__ import annotations

import time


class Schedule:
    """Frames that are due and not taken yet. What is older than `longest_lag` seconds is given up: a burst of all that
    a busy machine has held back would be another attack than the one that was asked for. For one thread."""

    def __init__(self, longest_lag: float) -> None:
        self._longest_lag = longest_lag
        self.set_rate(0.0)

    def set_rate(self, rate: float) -> None:
        """So many frames a second from now on."""
        self._rate, self._since = rate, time.monotonic()

    def take(self) -> int:
        """What is due by now; the caller sends it."""
        now = time.monotonic()
        due = int((now - self._since) * self._rate)
        most = max(1, int(self._rate * self._longest_lag))
        if due > most:
            self._since, due = now, most
        elif due:
            self._since += due / self._rate
        return due
