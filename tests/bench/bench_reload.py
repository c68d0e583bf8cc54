"""A reload of a thousand rules while more frames come than can be carried: how long from SIGHUP to the swap, and
whether a frame is lost without being counted, or leaves out of order.

    flood ──eth0──> outside ── box ── inside ──eth0──> sequence
      │ sent           │ kernel: no room                  │ arrived, out of order
                       └─ ring full, and other counts of the box

Every frame has a number. One worker serves them, so that all leave in the order in which they came. The flood takes
one processor and the worker another; where there are but two, compiling takes its time from both: so the time of a
reload without traffic stands beside that under load, and what crosses during reloads beside what crosses without.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.appliance.box.conftest import HEAD, RunningBox
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.measuring import on
from tests.netns import Topology
from tests.rules_at_scale import five_fields

RULES, RELOADS = 1000, 3
MOST_SECONDS = 2.0
SETTLE_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
FLOODER = (0,)
LOST = ("tidegate_capture_dropped_packets_total", "tidegate_transmit_errors_total")


@dataclass(frozen=True, slots=True)
class Flooded:
    """What became of the frames of one flood. `uncounted` were sent, did not arrive, and stand in no count."""

    seconds: float
    arrived: int
    disordered: int
    uncounted: int

    @property
    def per_second(self) -> float:
        return self.arrived / self.seconds


class Reloading:
    """A box with a set of rules, which is given others of the same number again and again."""

    def __init__(self, bench: Bench, net: Topology) -> None:
        self._bench, self._net, self._reloads = bench, net, 0
        config = bench.folder / "reload.yaml"
        config.write_text(HEAD + five_fields(RULES))
        self.box = RunningBox(net, config)

    def reload(self) -> float:
        """Seconds from the signal until the swap is told: a hundred rules are others each time, so that what was
        compiled before does not help."""
        self._reloads += 1
        self.box.config.write_text(HEAD + five_fields(RULES, first=100 * self._reloads))
        began = time.monotonic()
        self.box.process.send_signal(signal.SIGHUP)
        self.box.wait_for("reloaded:", times=self._reloads, seconds=PATIENCE_SECONDS)
        return time.monotonic() - began

    def flood(self, seconds: float, reloads: int) -> tuple[Flooded, list[float]]:
        """Reload that often while frames come, or let them come; how long each took."""
        net, tools = self._net, self._bench.tools
        lost, dropped = self._counted(), _dropped(net)
        sequence = net.inside.popen(
            [str(tools / "sequence"), net.inside.interface], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert sequence.stdout is not None
        sequence.stdout.readline()  # "ready"
        flood = net.outside.popen(
            on(FLOODER, str(tools / "flood"), net.outside.interface, str(seconds)), stdout=subprocess.PIPE, text=True
        )
        time.sleep(SETTLE_SECONDS)
        took = [self.reload() for _ in range(reloads)]
        sent = int(flood.communicate()[0])
        time.sleep(SETTLE_SECONDS)
        arrived, _, disordered, _ = map(int, sequence.communicate()[0].split())
        missing = sent - arrived - (self._counted() - lost) - (_dropped(net) - dropped)
        return Flooded(seconds, arrived, disordered, missing), took

    def _counted(self) -> int:
        return int(sum(value for name, value in self.box.metrics().items() if name.startswith(LOST)))


def main(bench: Bench) -> Iterator[Figure]:
    with Topology(offloads=False) as net:
        measured = Reloading(bench, net)
        try:
            measured.box.wait_for("metrics on", seconds=PATIENCE_SECONDS)
            idle = [measured.reload() for _ in range(RELOADS)]
            # for as long as the reloads may take; the frames of both floods come for the same time
            seconds = bench.window(2 * SETTLE_SECONDS + 3 * RELOADS * max(statistics.median(idle), 0.5))
            steady, _ = measured.flood(seconds, 0)
            disturbed, loaded = measured.flood(seconds, RELOADS)
        finally:
            measured.box.end()
    yield Figure(
        name=f"reload of {RULES:,} rules under full load, SIGHUP to swap",
        value=statistics.median(loaded),
        unit="s",
        peer="without traffic",
        peer_value=statistics.median(idle),
        target=Target(Compared.VALUE, at_most=MOST_SECONDS),
        samples={"loaded": loaded, "idle": idle},
    )
    yield Figure(
        name="frames that cross while rules are reloaded",
        value=disturbed.per_second,
        unit="frames/s",
        peer="no reload",
        peer_value=steady.per_second,
        remark=f"{RELOADS} reloads in {seconds:.1f} s; what is missing found the rings full",
    )
    for name, value in (("lost and not counted", disturbed.uncounted), ("out of order", disturbed.disordered)):
        yield Figure(
            name=f"frames {name}, of a reload under full load",
            value=value,
            unit="frames",
            target=Target(Compared.VALUE, at_most=0),
            remark=f"without a reload: {steady.uncounted if name.startswith('lost') else steady.disordered}",
        )


def _dropped(net: Topology) -> int:
    """Frames that the kernel had no room for between two ends of a wire, before any socket was asked."""
    return net.box.statistics("outside")["rx_dropped"] + net.inside.statistics()["rx_dropped"]
