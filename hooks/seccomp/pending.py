"""Signals that wait for a thread until the call that it makes has ended. Source: proc_pid_status(5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PendingSignals:
    """Bit by bit, those that are not blocked: `own` are the thread's, `shared` any thread's of its process may take."""

    own: int
    shared: int
    threads: int

    @classmethod
    def of(cls, thread: int) -> PendingSignals:
        """Raises OSError if there is no such thread."""
        lines = Path(f"/proc/{thread}/status").read_text().splitlines()
        fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        heard = ~int(fields["SigBlk"], 16)
        own, shared = (int(fields[name], 16) & heard for name in ("SigPnd", "ShdPnd"))
        return cls(own, shared, int(fields["Threads"]))

    @property
    def certain(self) -> bool:
        """Whether it is this thread that will take one."""
        return bool(self.own or (self.shared and self.threads == 1))
