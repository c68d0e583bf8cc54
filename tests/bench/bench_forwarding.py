"""The inline rate: 64-byte frames from one side, counted on the other, against a plain C loop that looks at nothing.

The flooder has processor 0 to itself, whoever forwards has processor 1. The kernel's share of both (taking frames from
one interface, giving them to the other, the far host's stack dropping them) runs on the same two processors, alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.joins import FORWARDER, TIDEGATE, Join, forwarder, tidegate
from tests.bench.measuring import alternate, medians, on, pin, received_frames

ROUNDS = 15
SECONDS = 0.6
LEAD_SECONDS = 0.15
FLOODER, WORKER = (0,), (1,)


def main(bench: Bench) -> Iterator[Figure]:
    with forwarder(bench) as plain, tidegate(bench) as gate:
        offered: list[float] = []
        for join in (plain, gate):
            assert join.pid is not None
            pin(join.pid, WORKER)
        samples = alternate(
            ROUNDS,
            {
                FORWARDER: lambda: flooded(bench, plain, bench.window(SECONDS), offered),
                TIDEGATE: lambda: flooded(bench, gate, bench.window(SECONDS), offered),
            },
        )
    middle = medians(samples)
    yield Figure(
        name="forwarding, 64-byte frames, 20 rules",
        value=middle[TIDEGATE],
        unit="frames/s",
        peer=FORWARDER,
        peer_value=middle[FORWARDER],
        target=Target(Compared.RATIO, at_least=0.85),
        remark=f"one worker; {statistics.median(offered):,.0f} frames/s were offered",
        samples=samples,
    )


def flooded(bench: Bench, join: Join, seconds: float, offered: list[float] | None = None) -> float:
    """Frames per second that arrive on the other side while more are sent than can be carried."""
    net, total = join.net, seconds + 2 * LEAD_SECONDS
    flood = net.outside.popen(
        on(FLOODER, str(bench.tools / "flood"), net.outside.interface, str(total)), stdout=-1, text=True
    )
    time.sleep(LEAD_SECONDS)
    began, before = time.perf_counter(), received_frames(net.inside, net.inside.interface)
    time.sleep(seconds)
    ended, after = time.perf_counter(), received_frames(net.inside, net.inside.interface)
    sent = int(flood.communicate()[0])
    if offered is not None:
        offered.append(sent / total)
    return (after - before) / (ended - began)
