"""A thousand reloads of one box: what its processes have of memory behind the tenth, and behind the last.

Every tenth reload brings rules that the box has never seen, which are proved and compiled; the others bring back what
it remembers. All of them start a process for the code, and end another.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

from tests.appliance.box.conftest import HEAD, RunningBox
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.footprint import megabytes
from tests.family import family
from tests.netns import Topology

RELOADS, FIRST, NEW_EVERY = 1000, 10, 10
MOST_MEGABYTES = 5.0
SETTLE_SECONDS = 1.0


def main(bench: Bench) -> Iterator[Figure]:
    config = bench.folder / "reloads.yaml"
    config.write_text(HEAD + _rules(0))
    with Topology() as net:
        box = RunningBox(net, config)
        try:
            box.wait_for("metrics on")
            began = time.monotonic()
            early = _after(box, 0, FIRST)
            late = _after(box, FIRST, RELOADS)
            seconds = time.monotonic() - began
            processes = len(list(family(box.process.pid)))
        finally:
            box.end()
    yield Figure(
        name=f"memory after {RELOADS:,} reloads, beyond that after {FIRST}",
        value=late - early,
        unit="MB",
        target=Target(Compared.VALUE, at_most=MOST_MEGABYTES),
        remark=f"anonymous {early:.0f} and {late:.0f} MB, {processes} processes; {seconds / RELOADS:.2f} s a reload",
    )


def _after(box: RunningBox, done: int, until: int) -> float:
    """MB that the processes have for themselves behind that many reloads."""
    for number in range(done, until):
        box.config.write_text(HEAD + _rules(number if number % NEW_EVERY == 0 else number % 2))
        box.process.send_signal(signal.SIGHUP)
        box.wait_for("reloaded", number + 1)
    time.sleep(SETTLE_SECONDS)
    return megabytes(box.process.pid)["Pss_Anon"]


def _rules(number: int) -> str:
    return f"rules:\n  - {{id: one, match: {{udp.dport: {1000 + number}}}, action: drop}}\n"
