"""Rules by the thousand: what a frame costs, and what it takes to load them.

ClassBench's filters as rules, their own trace from memory, and generated rules of five fields of which none matches.
The folder of ClassBench's sets is `CLASSBENCH` of the environment, or `../shared/classbench`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.appliance.box.conftest import TIDEGATE
from tests.bench import classbench
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.measuring import alternate
from tests.bench.peers.documents import rule_set
from tests.bench.peers.tasks import rule_list

SEEDS = ("acl1", "fw1", "ipc1")
SMALL, LARGE = 1_000, 10_000
COUNTS = (10, 100, 1_000, 10_000)
FRAMES = 500_000
ROUNDS, LOADS = 5, 3
AS_RECORDED, RANDOM = "in the trace's order", "in random order"
ORDERS = {
    AS_RECORDED: "the processor learns by heart what {} headers do that come again and again",
    RANDOM: "what a header does is foretold for neither",
}
ROOT = Path(__file__).resolve().parents[2]

Samples = Mapping[str, Sequence[Mapping[str, Any]]]


def main(bench: Bench) -> Iterator[Figure]:
    yield from _none_matching(bench)
    if not classbench.FOLDER.is_dir():
        why = f"there is no folder {classbench.FOLDER}; say CLASSBENCH=FOLDER"
        yield Figure("ClassBench's filters", None, "ns", remark=why)
        return
    for seed in SEEDS:
        yield from _classbench(bench, seed)


def _classbench(bench: Bench, seed: str) -> Iterator[Figure]:
    names = {size: f"{seed}_{size}" for size in (SMALL, LARGE)}
    rules = {size: classbench.filters(name) for size, name in names.items()}
    files = {size: classbench.write_rules(bench.folder / f"{name}.yaml", rules[size]) for size, name in names.items()}
    traces = {size: classbench.headers(name) for size, name in names.items()}
    times = {size: -(-FRAMES // len(trace)) for size, trace in traces.items()}
    costs, samples = dict[tuple[str, int], float](), dict[str, Samples]()
    for order in ORDERS:
        captures = {size: _capture(bench, names[size], traces[size], times[size], order) for size in names}
        samples[order] = alternate(ROUNDS, {str(s): lambda f=files[s], c=captures[s]: _replay(f, c) for s in names})
        costs |= {(order, int(size)): cost for size, cost in _costs(samples[order]).items()}
        for capture in captures.values():
            capture.unlink()
    yield Figure(
        name=f"{seed}, {LARGE:,} filters, a frame",
        value=costs[AS_RECORDED, LARGE],
        unit="ns",
        target=Target(Compared.VALUE, at_most=150),
        remark=_compared_with_a_walk(rules, traces, times, samples),
        samples=_nanoseconds(samples[AS_RECORDED]),
    )
    for order in ORDERS:
        yield Figure(
            name=f"the same, {order}",
            value=costs[order, LARGE],
            unit="ns",
            peer=f"{SMALL:,} filters",
            peer_value=costs[order, SMALL],
            target=Target(Compared.RATIO, at_most=1.5),
            remark=ORDERS[order].format(len(traces[SMALL])),
            samples=_nanoseconds(samples[order]),
        )
    yield from _loading(seed, files)


def _capture(bench: Bench, name: str, trace: np.ndarray, times: int, order: str) -> Path:
    path = bench.folder / f"{name}.pcap"
    return classbench.write_capture(path, trace, times, in_random_order=order != AS_RECORDED)


def _compared_with_a_walk(
    rules: Mapping[int, list[classbench.Filter]],
    traces: Mapping[int, np.ndarray],
    times: Mapping[int, int],
    samples: Mapping[str, Samples],
) -> str:
    walked = {size: classbench.walk(rules[size], traces[size]) for size in rules}
    wrong = [
        f"{size:,} filters, {order}"
        for order, found in samples.items()
        for size in rules
        if _decided(found[str(size)][0], times[size]) != walked[size]
    ]
    return f"WRONG with {', '.join(wrong)}" if wrong else "every rule decides what the walk says"


def _nanoseconds(samples: Samples) -> dict[str, list[float]]:
    return {who: [1e9 / each["frames_per_second"] for each in found] for who, found in samples.items()}


def _costs(samples: Samples) -> dict[str, float]:
    """Nanoseconds a frame, by who was measured."""
    return {who: statistics.median(found) for who, found in _nanoseconds(samples).items()}


def _decided(replayed: Mapping[str, Any], times: int) -> dict[str, int]:
    """How many frames of one pass each rule decided."""
    counts = {name: found["packets"] for name, found in replayed["rules"].items()}
    return {name: packets // times for name, packets in counts.items() if packets}


def _loading(seed: str, files: dict[int, Path]) -> Iterator[Figure]:
    loads = alternate(LOADS, {str(size): lambda s=size: _load(files[s]) for size in files})
    for size, most in ((SMALL, 1.0), (LARGE, 3.0)):
        found = [each["seconds"] for each in loads[str(size)]]
        memory = max(each["most"] for each in loads[str(size)]) / 1e6
        yield Figure(
            name=f"{seed}, {size:,} filters, read, compiled, verified, native",
            value=statistics.median(found),
            unit="s",
            target=Target(Compared.VALUE, at_most=most),
            remark=f"{memory:.0f} MB at most, target 300",
            samples={seed: found},
        )


def _none_matching(bench: Bench) -> Iterator[Figure]:
    lists = {count: rule_list(count) for count in COUNTS}
    files = {count: rule_set(task, bench.folder) for count, task in lists.items()}
    rows = [[flow.source, flow.destination, flow.sport, flow.dport, 17] for flow in lists[COUNTS[0]].traffic[""]]
    trace = np.array(rows, np.int64)
    capture = classbench.write_capture(bench.folder / "none.pcap", trace, -(-FRAMES // len(trace)))
    samples = alternate(ROUNDS, {str(count): lambda c=count: _replay(files[c], capture) for count in COUNTS})
    costs = _costs(samples)
    capture.unlink()
    for count in COUNTS:
        target = Target(Compared.RATIO, at_most=2) if count == COUNTS[-1] else None
        yield Figure(
            name=f"{count:,} rules of five fields, none matching, a frame",
            value=costs[str(count)],
            unit="ns",
            peer=f"{COUNTS[0]} rules",
            peer_value=costs[str(COUNTS[0])],
            target=target,
            samples={str(count): _nanoseconds(samples)[str(count)]},
        )


def _replay(rules: Path, capture: Path) -> dict[str, Any]:
    command = [*TIDEGATE, "replay", str(rules), str(capture), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout))


def _load(rules: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.loading", str(rules)]
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout))
