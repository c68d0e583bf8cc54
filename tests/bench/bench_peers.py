"""Peers of the field beside Tidegate, on veth pairs made alike, in one run: nftables at netdev ingress, xdp-filter.

A blocklist of a million prefixes, one as large as xdp-filter takes, and rules of five fields of which none matches. For
each: frames a second that are handled (dropped, or carried to the far host), the processor time that one takes, and how
long it is from the command to the first frame that is judged. Who isn't installed, or can't, has a row with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import MappingProxyType

from tests.bench.figures import Bench, Figure
from tests.bench.measuring import alternate, medians
from tests.bench.peers.contenders import OURS, PEERS, UNFILTERED, Standing
from tests.bench.peers.generator import generator
from tests.bench.peers.sending import send
from tests.bench.peers.tasks import LISTED, Task, blocklist, rule_list
from tests.bench.peers.unavailable import Unavailable
from tests.bench.peers.xdp_filter import MOST

ROUNDS = 7
SECONDS = 0.4
PREFIXES = 1_000_000
RULES = (10, 100, 1_000, 10_000)


def main(bench: Bench) -> Iterator[Figure]:
    yield from compared(bench, blocklist(PREFIXES))
    yield from compared(bench, blocklist(MOST, single=True))
    for count in RULES:
        yield from compared(bench, rule_list(count))


def compared(bench: Bench, task: Task) -> Iterator[Figure]:
    """Everybody with the same task, in turns. Who can't be measured has one row, which says why."""
    ours, peers = OURS, PEERS[type(task)]
    standing: dict[str, Standing] = {}
    with ExitStack() as held:
        for name, contender in (ours | peers).items():
            try:
                standing[name] = held.enter_context(contender(bench, task))
            except Unavailable as error:
                yield Figure(f"{task.name}: {name}", None, "", remark=f"not measured: {error}")
        loads = {name: [each.seconds] for name, each in standing.items() if name != UNFILTERED}
        yield from _pairs(f"{task.name}, made ready", "s", loads)
        generators = {
            name: held.enter_context(generator(each.join.net, bench.folder)) for name, each in standing.items()
        }
        for kind, flows in task.traffic.items():
            what = f"{task.name}, {kind}" if kind else task.name
            who = [name for name in standing if (name, kind) != (UNFILTERED, LISTED)]  # it drops nothing
            for name in who:
                generators[name].aim(flows)
            measures = {name: partial(send, standing[name], generators[name], bench.window(SECONDS)) for name in who}
            samples = alternate(ROUNDS, measures)
            lost = medians({name: [100 * each.lost for each in some] for name, some in samples.items()})
            remarks = {name: f"{share:.0f} % of what was sent was lost" for name, share in lost.items() if share >= 1}
            rates = {name: [each.rate for each in some] for name, some in samples.items()}
            costs = {name: [each.cost for each in some] for name, some in samples.items()}
            yield from _pairs(what, "frames/s", rates, remarks)
            yield from _pairs(f"{what}, processor time a frame", "ns", costs)


def _pairs(
    what: str, unit: str, samples: Mapping[str, Sequence[float]], remarks: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Figure]:
    """Each of ours beside each peer."""
    middle = medians(samples)
    for name in (name for name in middle if name in OURS):
        for peer in (name for name in middle if name not in OURS):
            both = {who: samples[who] for who in (name, peer)}
            remark = "; ".join(f"{who}: {remarks[who]}" for who in both if who in remarks)
            yield Figure(f"{what}: {name}", middle[name], unit, peer, middle[peer], remark=remark, samples=both)
