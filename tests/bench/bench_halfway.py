"""At half the rate of attack at which it breaks, for each kind of attack: who is connected stays so, who comes gets in,
and how much longer a round trip takes.

    breaking point   bisection, roughly: at the highest rate that holds, 99.9 % of what clients ask loses no frame
    half of it       windows in turns, without the attack and with it; medians of what all rounds give

`--only syn ntp` measures some kinds only: each takes about a minute.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from appliance.lab.attacks.names import KINDS
from appliance.lab.box import TidegateBox
from appliance.lab.config import lab_config
from appliance.lab.report import Traffic
from tests.bench.attacked import Attacked, Window, attacked
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.measuring import alternate

HIGHEST_RATE = 1_500_000.0  # frames a second
MOST_STEPS = 7
STEP_SECONDS = 1.0
ROUNDS = 3
SECONDS = 3.0  # of one window: 600 new connections
MOST_ADDED = 0.2  # milliseconds
CALM, STORM = "without", "with the attack"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One kind of attack: the rate at which it breaks (the highest that was borne), and the windows at half of it."""

    kind: str
    limit: float
    calm: Sequence[Window]
    storm: Sequence[Window]

    @property
    def added(self) -> list[float]:
        """Milliseconds that the attack adds to the median round trip, by round."""
        return [with_.visit.median - without.visit.median for without, with_ in zip(self.calm, self.storm, strict=True)]

    @property
    def new(self) -> Traffic:
        """New connections, of all rounds under attack."""
        return sum((window.visit.new for window in self.storm), Traffic())


def main(bench: Bench) -> Iterator[Figure]:
    for kind in bench.only or KINDS:
        with attacked(bench.tools, TidegateBox(lab_config(None)), {kind: 1.0}) as there:
            yield from figures_of(measure(there, kind, bench.window(SECONDS)))


def measure(there: Attacked, kind: str, seconds: float, highest: float = HIGHEST_RATE) -> Outcome:
    """Find the rate that breaks it, then hold half of it."""
    best = there.find_limit(kind, highest, MOST_STEPS, STEP_SECONDS).best
    limit = best.offered if best else 0.0
    windows = alternate(
        ROUNDS, {CALM: partial(there.hold, 0.0, seconds), STORM: partial(there.hold, limit / 2, seconds)}
    )
    return Outcome(kind, limit, windows[CALM], windows[STORM])


def figures_of(outcome: Outcome) -> Iterator[Figure]:
    """What the targets speak of, by kind of attack."""
    last, storm, new = outcome.storm[-1].visit, outcome.storm, outcome.new
    offered = statistics.median(window.offered for window in storm)
    attack = sum((window.attack for window in storm), Traffic())
    yield Figure(
        name=f"{outcome.kind} at {offered:,.0f} frames/s, connections that live",
        value=100 * last.alive / last.connections,
        unit="%",
        target=Target(Compared.VALUE, at_least=100),
        remark=f"breaks above {outcome.limit:,.0f}; of the attack arrived {100 * attack.delivered:.2f} %",
    )
    yield Figure(
        name=f"{outcome.kind}, new connections made",
        value=100 * new.delivered,
        unit="%",
        target=Target(Compared.VALUE, at_least=99.9),
        remark=f"{new.received:,} of {new.sent:,}",
    )
    yield Figure(
        name=f"{outcome.kind}, added round trip",
        value=statistics.median(outcome.added),
        unit="ms",
        target=Target(Compared.VALUE, at_most=MOST_ADDED),
        remark=f"rounds {min(outcome.added):+.3f} to {max(outcome.added):+.3f}, of "
        f"{statistics.median(window.visit.median for window in outcome.calm):.3f} without; 99th percentile "
        f"{statistics.median(window.visit.high for window in storm):.1f}",
        samples={
            who: [window.visit.median for window in windows]
            for who, windows in ((CALM, outcome.calm), (STORM, outcome.storm))
        },
    )
