"""Memory of the processes of a box."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tests.family import family


def megabytes(pid: int) -> dict[str, float]:
    """What they have of each kind of memory, in MB (10^6 bytes); pages of several are divided among them (Pss)."""
    total: dict[str, float] = {}
    for each in family(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]:
                kind, kilobytes, _ = line.split()
                total[kind.rstrip(":")] = total.get(kind.rstrip(":"), 0.0) + int(kilobytes) * 1024 / 1e6
    return total


def status_of(pid: int | str) -> dict[str, float]:
    """The kilobytes of /proc/PID/status, in megabytes (10^6 bytes)."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 / 1e6 for words in lines if words[-1] == "kB"}
