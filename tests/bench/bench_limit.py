"""The breaking point, as `tidegate lab --find-limit` finds it: the box, nftables and no filter, on the same wires.

One search is a few rates, each held for some seconds; what is compared are medians of several.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

from tests.appliance.box.conftest import TIDEGATE
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.measuring import medians

ROUNDS = 3
SECONDS = 45.0  # of each search
OURS = "tidegate"


def main(bench: Bench) -> Iterator[Figure]:
    samples: dict[str, list[float]] = {}
    let_through: dict[str, list[float]] = {}
    lacks: dict[str, str] = {}
    for _ in range(ROUNDS):
        for limit in _search(bench.window(SECONDS)):
            if limit["lack"]:
                lacks[limit["who"]] = limit["lack"]
                continue
            samples.setdefault(limit["who"], []).append(limit["limit"] or 0)
            best = max((step for step in limit["steps"] if step["holds"]), key=lambda step: step["offered"])
            let_through.setdefault(limit["who"], []).append(_percent(best["attack"]))
    for who, lack in lacks.items():
        yield Figure(f"breaking point: {who}", None, "", remark=f"not measured: {lack}")
    middle, through = medians(samples), medians(let_through)
    for peer in (who for who in middle if who != OURS and OURS in middle):
        yield Figure(
            name="breaking point",
            value=middle[OURS],
            unit="frames/s",
            peer=peer,
            peer_value=middle[peer],
            target=Target(Compared.RATIO, at_least=1) if peer == "nftables" else None,
            remark=f"attack let through: {through[OURS]:.2f} %, {peer}'s {through[peer]:.2f} %",
            samples={who: samples[who] for who in (OURS, peer)},
        )


def _search(seconds: float) -> list[dict[str, Any]]:
    command = [*TIDEGATE, "lab", "--find-limit", "--json", "--seconds", f"{seconds:g}"]
    report: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    limits: list[dict[str, Any]] = report["limits"]
    return limits


def _percent(attack: dict[str, int]) -> float:
    return 100 * attack["received"] / attack["sent"] if attack["sent"] else 0.0
