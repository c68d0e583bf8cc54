"""What a guard counts, and the denials that it remembers and tells of."""

from __future__ import annotations

import errno
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from appliance.guard.hooks import Call

REMEMBERED = 1000  # denials


class Outcome(Enum):
    """What became of a call, as counters name it."""

    PERMITTED = "permitted"
    REDIRECTED = "redirected"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Denial:
    """One call that was denied: when (seconds since 1970), who asked, for what, and which program denied it."""

    time: float
    call: Call
    process: int
    executable: str
    address: str
    program: str
    errno: int

    def __str__(self) -> str:
        name = errno.errorcode.get(self.errno, str(self.errno))
        who = f"{self.executable} ({self.process})"
        return f"{self.call.value} {self.address} denied ({name}) by `{self.program}`: {who}"


@dataclass(frozen=True, slots=True)
class GuardStatistics:
    """A snapshot. `calls` counts what programs judged; each call and outcome is there from the start."""

    calls: Mapping[tuple[Call, Outcome], int]
    denials: tuple[Denial, ...]


class Ledger:
    """Counts. Any thread."""

    def __init__(self, tell: Callable[[Denial], object] = lambda denial: None) -> None:
        """`tell` is called with each denial, in the thread that serves the call: it must not wait."""
        self._tell = tell
        self._lock = threading.Lock()
        self._calls = Counter({(call, outcome): 0 for call in Call for outcome in Outcome})
        self._denials: deque[Denial] = deque(maxlen=REMEMBERED)

    def count(self, call: Call, outcome: Outcome) -> None:
        with self._lock:
            self._calls[call, outcome] += 1

    def deny(self, denial: Denial) -> None:
        """Count a denial, remember it and tell of it."""
        with self._lock:
            self._calls[denial.call, Outcome.DENIED] += 1
            self._denials.append(denial)
        self._tell(denial)

    def statistics(self) -> GuardStatistics:
        with self._lock:
            return GuardStatistics(dict(self._calls), tuple(self._denials))
