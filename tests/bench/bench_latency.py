"""The round-trip time that a box adds to two idle hosts, over the same hosts joined by a Linux bridge.

A frame that arrives must wake the process between the hosts, twice a round trip; that is dear where the process sleeps
on another processor, and cheap on the same one. So there are three placements: the scheduler's own choice, which is the
figure, and, beside it, the process on the other processor and on the same one as the host that asks.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from functools import partial

from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.joins import BRIDGE, FORWARDER, TIDEGATE, Join, bridge, forwarder, tidegate
from tests.bench.measuring import ALL_PROCESSORS, alternate, on, percentile, pin

ROUNDS = 6
ECHOES = 250  # a round
PAUSE_MICROSECONDS = 1500
MOST_ADDED = 30.0  # microseconds

# name -> processors of the host that asks, and of the process between.
PLACEMENTS = {
    "unpinned": (ALL_PROCESSORS, ALL_PROCESSORS),
    "on the other processor": ({0}, {1}),
    "on the same processor": ({0}, {0}),
}


def main(bench: Bench) -> Iterator[Figure]:
    with bridge() as linux, forwarder(bench) as plain, tidegate(bench) as gate:
        joins = {BRIDGE: linux, FORWARDER: plain, TIDEGATE: gate}
        for placement, (host, between) in PLACEMENTS.items():
            times = _round_trips(bench, joins, host, between)
            for name in (TIDEGATE, FORWARDER):
                yield _figure(placement, name, times)


def _round_trips(
    bench: Bench, joins: dict[str, Join], host: Iterable[int], between: Iterable[int]
) -> dict[str, list[float]]:
    """Microseconds of every echo through each join."""
    for join in joins.values():
        if join.pid is not None:
            pin(join.pid, between)

    def echoes(join: Join) -> list[float]:
        words = [str(bench.tools / "echo"), join.net.inside.ipv4, str(ECHOES), str(PAUSE_MICROSECONDS)]
        lines = join.net.outside.run(on(host, *words)).stdout.split()
        assert len(lines) > ECHOES // 2, f"{len(lines)} of {ECHOES} echoes were answered"
        return [int(line) / 1000 for line in lines[10:]]

    rounds = alternate(ROUNDS, {name: partial(echoes, join) for name, join in joins.items()})
    return {name: [time for part in parts for time in part] for name, parts in rounds.items()}


def _figure(placement: str, name: str, times: dict[str, list[float]]) -> Figure:
    judged = name == TIDEGATE and placement == "unpinned"
    high, low = (percentile(times[who], 99) for who in (name, BRIDGE))
    return Figure(
        name=f"round trip through {name}, {placement}",
        value=statistics.median(times[name]),
        unit="µs",
        peer=BRIDGE,
        peer_value=statistics.median(times[BRIDGE]),
        target=Target(Compared.DIFFERENCE, at_most=MOST_ADDED) if judged else None,
        remark=f"99th percentile {high:.0f} µs, {BRIDGE} {low:.0f} µs",
        samples={who: [percentile(times[who], percent) for percent in (10, 50, 90, 99)] for who in (name, BRIDGE)},
    )
