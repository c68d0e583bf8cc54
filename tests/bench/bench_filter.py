"""What the filter itself costs: `tidegate replay` on a million frames in memory, 20 rules.

Beside it two limits: the same loop around a program that passes everything, and the same object in the Linux kernel,
one frame again and again (BPF_PROG_TEST_RUN), which is kinder to caches and branches than any traffic.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

from appliance.rules import compile_rule_set, load_rule_set
from tests.appliance.box.conftest import TIDEGATE
from tests.appliance.rules.kernel import KernelRules
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.joins import TWENTY
from tests.bench.measuring import alternate, medians
from tests.bench.traffic import representative_frames, write_capture

ROUNDS = 5
KERNEL_REPEATS = 1_000_000
PASS_ALL = Path(__file__).resolve().parents[2] / "programs" / "xdp_pass.bpf.o"
RULES, EMPTY = "20 rules", "empty program"
# What it was before rules asked for tunnels, options and connections, on two virtual processors (commit 5451a02).
BEFORE = {
    "in all": Target(Compared.VALUE, at_most=47),
    "what rules add to a program that passes everything": Target(Compared.DIFFERENCE, at_most=29),
}


def main(bench: Bench) -> Iterator[Figure]:
    capture = bench.folder / "traffic.pcap"
    write_capture(capture)
    samples = alternate(ROUNDS, {RULES: lambda: _replay(TWENTY, capture), EMPTY: lambda: _replay(PASS_ALL, capture)})
    rates = medians(samples)
    capture.unlink()
    cost = {who: 1e9 / rate for who, rate in rates.items()}
    yield Figure(
        name="replay, 20 rules",
        value=rates[RULES] / 1e6,
        unit="million frames/s",
        peer=EMPTY,
        peer_value=rates[EMPTY] / 1e6,
        target=Target(Compared.VALUE, at_least=10),
        samples=samples,
    )
    for what, target in BEFORE.items():
        yield Figure(
            name=f"20 rules, a frame, {what}",
            value=cost[RULES],
            unit="ns",
            peer=EMPTY,
            peer_value=cost[EMPTY],
            target=target,
            remark=f"the rules cost {cost[RULES] - cost[EMPTY]:.1f} ns",
        )
    yield from _kernel(bench.folder, cost[RULES])


def _replay(source: Path, capture: Path) -> float:
    """Frames per second of the native loop."""
    done = subprocess.run(
        [*TIDEGATE, "replay", str(source), str(capture), "--json"], stdout=subprocess.PIPE, check=True, text=True
    )
    return float(json.loads(done.stdout)["frames_per_second"])


def _kernel(folder: Path, ours: float) -> Iterator[Figure]:
    frames = representative_frames()
    with KernelRules(compile_rule_set(load_rule_set(TWENTY)), folder) as kernel:
        costs = {name: float(kernel.nanoseconds(frame, KERNEL_REPEATS)) for name, frame in frames.items()}
    yield Figure(
        name="20 rules, time of a frame",
        value=ours,
        unit="ns",
        peer="in the kernel",
        peer_value=statistics.mean(costs.values()),
        remark="kernel: " + ", ".join(f"{name} {cost:.0f}" for name, cost in costs.items()),
        samples={name: [cost] for name, cost in costs.items()},
    )
