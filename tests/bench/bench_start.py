"""From the start of `tidegate run`, with the default rule set, to the first frame that crosses: of a box that remembers
the code that it has approved, and of one that has never run.

A numbered frame is sent every two milliseconds from before the start; the first one that arrives ends the clock.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.appliance.box.conftest import RunningBox
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.joins import document
from tests.netns import PacketSocket, Topology

STARTS = 5
MOST_SECONDS = {"remembered": 0.9, "nothing remembered": 1.8}
PATIENCE_SECONDS = 20.0
INTERVAL_SECONDS = 0.002
ROOT = Path(__file__).resolve().parents[2]
DEFAULT_RULES = ROOT / "configs" / "rulesets" / "default.yaml"
_HEADER = bytes.fromhex("020000000002020000000001" + "88b5")  # IEEE 802's ethertype for experiments


def main(bench: Bench) -> Iterator[Figure]:
    config = bench.folder / "start.yaml"
    config.write_text(document(DEFAULT_RULES))
    with Topology() as net:
        known = bench.folder / "start"
        _start(net, config, known)
        samples = {
            "remembered": [_start(net, config, known) for _ in range(STARTS)],
            "nothing remembered": [_start(net, config, bench.folder / f"start{n}") for n in range(STARTS)],
        }
    stages = json.loads(
        subprocess.run(
            [sys.executable, "-m", "tests.bench.stages", str(config)],
            stdout=subprocess.PIPE,
            check=True,
            cwd=ROOT,
        ).stdout
    )
    for which, starts in samples.items():
        yield Figure(
            name=f"start to first frame, default rule set, code {which}",
            value=statistics.median(starts),
            unit="s",
            target=Target(Compared.VALUE, at_most=MOST_SECONDS[which]),
            remark="in one process: " + ", ".join(f"{name} {taken:.0f}" for name, taken in stages.items()) + " ms",
            samples={"starts": starts} | {name: [taken] for name, taken in stages.items()},
        )


def _start(net: Topology, config: Path, state: Path) -> float:
    """Seconds until the first frame arrives, of a box that keeps its key and its code there."""
    os.environ["STATE_DIRECTORY"] = str(state)
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far, _ticking(near):
        began = time.monotonic()
        box = RunningBox(net, config)
        try:
            if not far.receive(1, PATIENCE_SECONDS):
                raise RuntimeError(f"nothing crossed in {PATIENCE_SECONDS} s; the box said:\n{box.log}")
            return time.monotonic() - began
        finally:
            box.end()


@contextmanager
def _ticking(wire: PacketSocket) -> Iterator[None]:
    """Send a numbered frame every INTERVAL_SECONDS."""
    over = threading.Event()

    def send() -> None:
        number = 0
        while not over.wait(INTERVAL_SECONDS):
            wire.send(_HEADER + number.to_bytes(4, "big") + bytes(46))
            number += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
