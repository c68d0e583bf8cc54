"""What rules ask of callers and no helper of a program says: the file that they run, the cgroup that they are in.

Nothing is kept from one call to the next, as of everything else that is asked of callers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from appliance.errors import CannotRun
from appliance.guard.callers import Caller
from appliance.rules.sockets.model import Fact, FactKind

_UNIFIED = "0::"  # how /proc/PID/cgroup begins the line of the hierarchy of version 2, cgroups(7)


class FactsOfCallers:
    """Asks /proc. Any thread."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        """A fact's place is its bit. Raises CannotRun if one is about cgroups and there are none of version 2 here."""
        self._files = [(1 << n, fact.path) for n, fact in enumerate(facts) if fact.kind is FactKind.EXE]
        self._groups = [(1 << n, fact.path) for n, fact in enumerate(facts) if fact.kind is FactKind.CGROUP]
        if self._groups and cgroup_of(os.getpid()) is None:
            hint = "match `exe` or `user` instead, or mount cgroup2"
            raise CannotRun("rules match `cgroup`, and this machine has no cgroups of version 2", hint=hint)

    def of(self, caller: Caller) -> int:
        """The bits of those that are true. To be asked while the caller waits. Raises OSError if it is gone."""
        bits = 0
        if self._files:
            runs = os.stat(f"/proc/{caller.thread}/exe")  # noqa: PTH116 (half the time)
            bits = sum(bit for bit, path in self._files if _is(path, runs))
        if self._groups:
            group = cgroup_of(caller.thread)
            bits |= sum(bit for bit, path in self._groups if group is not None and is_below(group, path))
        return bits


def _is(path: str, runs: os.stat_result) -> bool:
    """Whether that path leads to the file: by links, too; and by no name that the caller's own mounts give it."""
    try:
        return os.path.samestat(os.stat(path), runs)  # noqa: PTH116
    except OSError:
        return False


def cgroup_of(task: int) -> str | None:
    """The path of a thread's cgroup from the root of the hierarchy of version 2; None without one. Raises OSError."""
    lines = Path(f"/proc/{task}/cgroup").read_text(errors="surrogateescape").splitlines()
    return next((line.removeprefix(_UNIFIED) for line in lines if line.startswith(_UNIFIED)), None)


def is_below(group: str, path: str) -> bool:
    """Whether the cgroup is that one, or one below."""
    return path == "/" or group == path or group.startswith(f"{path}/")
