"""Resident memory of a running box: two interfaces, default rings, the default rule set, after a flood."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench.bench_forwarding import flooded
from tests.bench.bench_start import DEFAULT_RULES
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.joins import tidegate

MOST_MEGABYTES = 250.0
SECONDS = 2.0


def main(bench: Bench) -> Iterator[Figure]:
    with tidegate(bench, DEFAULT_RULES) as gate:
        flooded(bench, gate, bench.window(SECONDS))
        status = status_of(gate.pid or 0)
    yield Figure(
        name="resident memory, default rule set",
        value=status["VmRSS"],
        unit="MB",
        target=Target(Compared.VALUE, at_most=MOST_MEGABYTES),
        remark=f"anonymous {status['RssAnon']:.0f}, files and rings {status['RssFile'] + status['RssShmem']:.0f} MB",
    )


def status_of(pid: int | str) -> dict[str, float]:
    """The kilobytes of /proc/PID/status, in megabytes (10^6 bytes)."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 / 1e6 for words in lines if words[-1] == "kB"}
