"""One in the box's place, under one attack at one rate after the other, with good clients who visit meanwhile.

    visits.py ── clients ─┐                       ┌─ server
                          ├─ outside  ?  inside ──┤
    live frames ── flood ─┘                       └─ FrameCounter

The wires are those of `tidegate lab --find-limit` (docs/decisions/0053); the clients are fewer, and cost less.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.lab.attacks.mix import Mix
from appliance.lab.attacks.names import marker
from appliance.lab.box import LabBox
from appliance.lab.lab import await_forwarding
from appliance.lab.limit.report import Limit, Step
from appliance.lab.limit.search import search
from appliance.lab.network import LabNetwork
from appliance.lab.report import Traffic
from appliance.lab.worker import RATE, Worker
from hooks.af_packet.counters import FrameCounter
from hooks.scheduling import favour_session
from tests.bench.visits import Visit, Visitors, visiting

SETTLE_SECONDS = 0.3
MEETING_SECONDS = 3.5  # until every client is known to the box: a new one's first SYN may fall
ATTACK_PREFIX = 5  # bytes of the Ethernet source that all attacks share


@dataclass(frozen=True, slots=True)
class Window:
    """One rate, held: what the attackers sent, in frames a second, what of it arrived, and how the clients fared."""

    rate: float
    offered: float
    attack: Traffic
    visit: Visit

    def as_step(self) -> Step:
        """For the search: a good request is one that lost no frame."""
        return Step(self.rate, self.offered, self.visit.prompt, self.attack)


@dataclass(frozen=True, slots=True)
class Attacked:
    """A box and what is around it. For one thread."""

    box: LabBox
    flood: Worker
    visitors: Visitors
    arrived: FrameCounter

    def hold(self, rate: float, seconds: float) -> Window:
        """Let the attackers send at `rate` for so long; they go on until the last client has its answer."""
        self.flood.set(RATE, rate)
        time.sleep(SETTLE_SECONDS)
        sent, arrived, begun = self._sent(), self.arrived.read(), time.monotonic()
        self.visitors.begin()
        time.sleep(seconds)
        taken = time.monotonic() - begun
        sent, arrived = self._sent() - sent, self.arrived.read() - arrived
        visit = self.visitors.end()
        self.flood.set(RATE, 0)
        self.box.check()
        return Window(rate, sent / taken, Traffic(sent, arrived), visit)

    def find_limit(self, who: str, highest: float, most_steps: int, seconds: float) -> Limit:
        """The rate that breaks it, by bisection; each rate is held twice, and a third time where the two disagree, so
        that one disturbance of the machine decides nothing."""

        def measure(rate: float) -> Step:
            first, second = (self.hold(rate, seconds).as_step() for _ in range(2))
            return second if first.holds is second.holds else self.hold(rate, seconds).as_step()

        return Limit(who, list(search(measure, highest, most_steps)))

    def _sent(self) -> int:
        return sum(map(sum, self.flood.count().values()))


@contextmanager
def attacked(tools: Path, box: LabBox, mix: Mix) -> Iterator[Attacked]:
    """The lab's network with `box` in its place, and everybody ready. Raises LabFailed."""
    with LabNetwork() as network, ExitStack() as parts:
        server = parts.enter_context(Worker(network.server, "server", {}))
        place, interface = network.towards_the_box
        settings = {"interface": interface, "mix": dict(mix), "rate": 0.0, "in_kernel": True}
        flood = parts.enter_context(Worker(place, "flood", settings))
        parts.enter_context(box.running(network))
        for worker in (server, flood):
            worker.wait_ready()
            worker.go()
        await_forwarding(network, box)
        network.take_in_as_a_card()
        server.finish()
        with network.server.entered():
            prefix = bytes.fromhex(marker(next(iter(mix))).replace(":", ""))[:ATTACK_PREFIX]
            arrived = parts.enter_context(FrameCounter("eth0", prefix))
        visitors = parts.enter_context(visiting(tools, network))
        for namespace in (network.clients, network.uplink, network.box, network.server):
            for process in namespace.processes():
                favour_session(process)  # what else runs on this machine is not what is measured
        time.sleep(MEETING_SECONDS)
        yield Attacked(box, flood, visitors, arrived)
