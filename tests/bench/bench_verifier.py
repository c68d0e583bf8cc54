"""The verifier's time by the length of programs, and its time and memory on large ones. Each runs in its own process.

curve       assembly of some shapes, 100 to 10,000 instructions
turns       loops in each other, as many turns as the square of what is counted to
datapath    C as container networks write it, up to 9,000 instructions (`tests.appliance.verifier.datapath`)
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from tests.appliance.verifier.datapath import datapath
from tests.appliance.verifier.shapes import SHAPES
from tests.bench.figures import Bench, Compared, Figure, Target

Measured: TypeAlias = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
SIZES = (100, 300, 1_000, 3_000, 10_000)
STAGES = (13, 32, 58)  # some 2,000, 5,000 and 9,000 instructions
BOUNDS = (100, 2_000)
NESTED = """
#include <linux/bpf.h>
__attribute__((section("xdp"), used)) int nested(struct xdp_md *ctx)
{
	unsigned int sum = 0;
	for (unsigned int outer = 0; outer < BOUND; outer++)
		for (unsigned int inner = 0; inner < outer; inner++)
			sum += inner & 1 ? ctx->rx_queue_index : outer;
	return sum & 1 ? XDP_PASS : XDP_DROP;
}
"""
MOST_SECONDS = 5.0
MOST_MEGABYTES = 500.0
# How much more than n log n the time may grow, from a hundred instructions to the most: starting costs, and noise.
SLACK = 1.5


def main(bench: Bench) -> Iterator[Figure]:
    for shape in SHAPES:
        yield _curve(shape)
    for bound in BOUNDS:
        yield from _large(f"{bound} by {bound} turns", NESTED.replace("BOUND", str(bound)))
    for stages in STAGES:
        yield from _large(f"datapath of {stages} stages", datapath(stages))
    yield from _large(f"datapath of {STAGES[-1]} functions", datapath(STAGES[-1], calls=True))


def _curve(shape: str) -> Figure:
    measured = [_measure({"shape": shape, "size": size}) for size in SIZES]
    first, last = measured[0], measured[-1]
    work = [one["instructions"] * math.log(one["instructions"]) for one in (first, last)]
    accepted = "" if all(one["accepted"] for one in measured) else "; not all accepted"
    curve = ", ".join(f"{one['instructions']:.0f}: {1000 * one['seconds']:.1f}" for one in measured)
    return Figure(
        name=f"verifier, {shape}: growth against n log n",
        value=last["seconds"] / first["seconds"] / (work[1] / work[0]),
        unit="times",
        target=Target(Compared.VALUE, at_most=SLACK),
        remark=f"{curve} ms; the longest {_beside_linux(last)}{accepted}",
        samples={str(size): [one["seconds"]] for size, one in zip(SIZES, measured, strict=True)},
    )


def _large(name: str, source: str) -> Iterator[Figure]:
    measured = _measure({"source": source})
    verdict = "accepted" if measured["accepted"] else "REJECTED"
    yield Figure(
        name=f"verifier, {name}",
        value=measured["seconds"],
        unit="s",
        target=Target(Compared.VALUE, at_most=MOST_SECONDS),
        peer="Linux",
        peer_value=measured["linux_seconds"],
        remark=f"{measured['instructions']:.0f} instructions, {verdict}",
    )
    yield Figure(
        name=f"verifier's memory, {name}",
        value=measured["megabytes"],
        unit="MB",
        target=Target(Compared.VALUE, at_most=MOST_MEGABYTES),
        remark="the whole process",
    )


def _beside_linux(measured: Measured) -> str:
    """How many times as long as Linux it takes."""
    linux = measured["linux_seconds"]
    if linux is None:
        return "Linux was not asked, or rejects it"
    return f"{measured['seconds'] / linux:.1f} times as long as Linux ({1000 * linux:.1f} ms)"


def _measure(task: dict[str, object]) -> Measured:
    """`accepted`, `instructions`, `seconds` (the best of some), `megabytes` and `linux_seconds` of one program."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.verifying"],
        input=json.dumps(task),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    measured: Measured = json.loads(done.stdout)
    return measured
