"""Bulk TCP through the box, one connection of iperf3, against the same hosts joined by a Linux bridge.

With the end hosts' offloads off every segment is a frame, as on a real wire. With offloads on the hosts hand over
frames of 64 kB that no wire carries: that number is there for information.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.joins import BRIDGE, FORWARDER, TIDEGATE, Join, bridge, forwarder, receive_offload, tidegate
from tests.bench.measuring import alternate, medians

ROUNDS = {False: 5, True: 2}  # by whether offloads are on
SECONDS = 2.0
PATIENCE_SECONDS = 5.0


def main(bench: Bench) -> Iterator[Figure]:
    with bridge() as linux, forwarder(bench) as plain, tidegate(bench) as gate:
        joins = {BRIDGE: linux, FORWARDER: plain, TIDEGATE: gate}
        for offloads in (False, True):
            for join in joins.values():
                receive_offload(join, offloads)
                for host in (join.net.outside, join.net.inside):
                    host.offloads(offloads)
            if offloads:
                del joins[FORWARDER]  # it can't carry super-frames
            measures = {name: partial(_gigabits, join, bench.window(SECONDS)) for name, join in joins.items()}
            yield _figure(offloads, alternate(ROUNDS[offloads], measures))


def _figure(offloads: bool, samples: dict[str, list[float]]) -> Figure:
    middle = medians(samples)
    return Figure(
        name=f"bulk TCP, offloads of the hosts {'on' if offloads else 'off'}",
        value=middle[TIDEGATE],
        unit="Gbit/s",
        peer=BRIDGE,
        peer_value=middle[BRIDGE],
        target=None if offloads else Target(Compared.RATIO, at_least=0.6),
        remark="" if offloads else f"{FORWARDER}: {middle[FORWARDER]:.2f} Gbit/s",
        samples=samples,
    )


def _gigabits(join: Join, seconds: float) -> float:
    """What arrives at the far host, in Gbit/s."""
    net = join.net
    server = net.inside.popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
    try:
        report = _client(join, seconds)
        server.wait(PATIENCE_SECONDS)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
    return float(report["end"]["sum_received"]["bits_per_second"]) / 1e9


def _client(join: Join, seconds: float) -> dict[str, Any]:
    """Connect until the server listens, send, and give iperf3's report."""
    command = ["iperf3", "-c", join.net.inside.ipv4, "-t", f"{seconds:g}", "-J"]
    for _ in range(20):
        time.sleep(0.1)
        done = join.net.outside.run(command, check=False, timeout=seconds + 4 * PATIENCE_SECONDS)
        report: dict[str, Any] = json.loads(done.stdout)
        if "error" not in report:
            return report
    raise RuntimeError(report["error"])
