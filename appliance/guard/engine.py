"""What every engine of the guard is: it starts a command under an object's programs, counts and tells of denials.

seccomp (appliance/guard/seccomp)     calls wait for this process, which performs them on duplicates of the sockets
kernel  (appliance/guard/kernel)      the same object in Linux itself, attached to a control group of version 2

with engine.start(["nginx"], tell=print) as guarded:
    status = guarded.wait()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from appliance.guard.statistics import Denial, GuardStatistics


class Guarded(Protocol):
    """A command and all that it starts, under the hooks. A context manager; closing twice is harmless. Any thread may
    ask; one waits."""

    @property
    def process(self) -> int:
        """The command's process."""

    def wait(self) -> int:
        """The command's exit status (128 and the signal's number if one ended it), once it and all that it started
        have ended. For a process that has no other children: those that lost their parent are its own by then."""

    def statistics(self) -> GuardStatistics:
        """A snapshot of what was counted, and the last denials."""

    def close(self) -> None:
        """Stop serving."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Engine(Protocol):
    """A way to ask programs when sockets meet addresses. It owns nothing until it starts something."""

    def start(self, command: Sequence[str], *, tell: Callable[[Denial], object]) -> Guarded:
        """Start a command under the hooks; `tell` gets each denial, in a thread of its own. Raises CannotRun if this
        machine can't."""
