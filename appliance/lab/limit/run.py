"""Finding the breaking point: one network, one flood, the same clients, and one after the other in the box's place.

    uplink                         box                    server
    flood ── "box" ─────────> outside   ?   inside ────── eth0
    clients ── bridge ── ┘                                counts what arrives of the attack

The flood leaves by the uplink's own port towards the box: through the bridge it would be slower than most who stand
there. `outside` takes frames in by NAPI, as a card does (`rx-gro`; nothing in this flood can be joined).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from appliance.lab.attacks.mix import Mix
from appliance.lab.attacks.names import marker
from appliance.lab.box import LabBox, TidegateBox
from appliance.lab.clients import HURRIED, clients_settings
from appliance.lab.config import lab_config
from appliance.lab.lab import await_forwarding
from appliance.lab.limit.report import LEAST_ANSWERED, Limit, LimitReport, Step
from appliance.lab.limit.search import search
from appliance.lab.network import LabNetwork
from appliance.lab.peers import BridgeBox, NftablesBox, no_nftables
from appliance.lab.report import Traffic
from appliance.lab.signals import ending_on_signals
from appliance.lab.worker import RATE, STEP, Worker
from hooks.af_packet.counters import FrameCounter

HIGHEST_RATE = 2_000_000.0  # frames a second; about what the kernel makes on one processor
SECONDS_EACH = 45.0
REQUESTS = 2000  # of one step: two may be lost; a search in a hurry asks less, and tolerates nothing
REQUESTS_A_SECOND, LEAST_REQUESTS = 100, 200  # of the search's seconds
SECONDS_A_STEP = 4.0
MOST_STEPS = 9
SETTLE_SECONDS = 0.5
REST_SECONDS = 0.5
LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 4.0  # longer than any client waits for an answer
ATTACK_PREFIX = 5  # bytes of the Ethernet source that all attacks share

OnStep = Callable[[str, Step], None]


def find_limits(
    config: Path | None,
    mix: Mix,
    *,
    highest: float = HIGHEST_RATE,
    seconds: float = SECONDS_EACH,
    on_step: OnStep = lambda *_: None,
    standing: Mapping[str, LabBox] | None = None,
) -> LimitReport:
    """The breaking points of the box with `config` (see `run_lab`), of nftables, and of a bridge that filters nothing.

    Each takes about `seconds` at most, two steps at least, and what it needs to start. Raises as `run_lab` does;
    whatever happens, nothing is left behind.
    """
    boxes = standing or {
        "tidegate": TidegateBox(lab_config(config)),
        "nftables": NftablesBox(),
        "no filter": BridgeBox(),
    }
    with ending_on_signals(), LabNetwork() as network, ExitStack() as parts:
        trial = _Trial(network, parts, mix, seconds)
        limits = [trial.limit_of(who, box, highest, on_step) for who, box in boxes.items()]
    return LimitReport(mix, limits)


class _Trial:
    """Flood, clients and server, which stay while those in the box's place change. `parts` ends them."""

    def __init__(self, network: LabNetwork, parts: ExitStack, mix: Mix, seconds: float) -> None:
        self._network, self._seconds = network, seconds
        self._requests = min(REQUESTS, max(LEAST_REQUESTS, int(seconds * REQUESTS_A_SECOND)))
        place, interface = network.towards_the_box
        flood = {"interface": interface, "mix": dict(mix), "rate": 0.0, "in_kernel": True}
        self._server = parts.enter_context(Worker(network.server, "server", {}))
        self._flood = parts.enter_context(Worker(place, "flood", flood))
        self._clients = parts.enter_context(Worker(network.clients, "clients", clients_settings(HURRIED)))
        with network.server.entered():
            prefix = bytes.fromhex(marker(next(iter(mix))).replace(":", ""))[:ATTACK_PREFIX]
            self._arrived = parts.enter_context(FrameCounter("eth0", prefix))
        for worker in (self._server, self._clients, self._flood):
            worker.wait_ready()
        for worker in (self._server, self._clients, self._flood):
            worker.go()

    def limit_of(self, who: str, box: LabBox, highest: float, on_step: OnStep) -> Limit:
        if isinstance(box, NftablesBox) and (lack := no_nftables()):
            return Limit(who, lack=lack)
        steps: list[Step] = []
        with box.running(self._network):
            await_forwarding(self._network, box)
            self._network.take_in_as_a_card()
            end = time.monotonic() + self._seconds
            for step in search(lambda rate: self._measure(box, rate), highest, MOST_STEPS):
                steps.append(step)
                on_step(who, step)
                if len(steps) > 1 and time.monotonic() + SECONDS_A_STEP > end:
                    break
            self._flood.set(RATE, 0)
        calm = steps[0].good
        lack = None if steps[0].holds else f"{calm.received} of {calm.sent} requests answered without any attack"
        return Limit(who, steps, lack)

    def _measure(self, box: LabBox, rate: float) -> Step:
        """A step that fails is tried once more: others work on this machine, too."""
        step = self._held(box, rate)
        return step if step.holds else self._held(box, rate)

    def _held(self, box: LabBox, rate: float) -> Step:
        """One rate, until enough was asked, or too little answered."""
        self._flood.set(RATE, 0)
        time.sleep(REST_SECONDS)
        self._flood.set(RATE, rate)
        time.sleep(SETTLE_SECONDS)
        sent, arrived, begun = self._sent(), self._arrived.read(), time.monotonic()
        self._clients.set(STEP, 1)
        while time.monotonic() - begun < 2 * SECONDS_A_STEP:
            time.sleep(LOOK_SECONDS)
            box.check()
            _, answered, ended = self._good()
            if ended >= self._requests or ended - answered > (1 - LEAST_ANSWERED) * self._requests:
                break
        seconds = time.monotonic() - begun
        sent, arrived = self._sent() - sent, self._arrived.read() - arrived
        return Step(rate, sent / seconds, self._last_answers(), Traffic(sent, arrived))

    def _last_answers(self) -> Traffic:
        """End the step; those who asked in it are waited for, under the same attack."""
        self._clients.set(STEP, 0)
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            asked, answered, ended = self._good()
            if ended >= asked or time.monotonic() > end:
                return Traffic(asked, answered)
            time.sleep(LOOK_SECONDS / 5)

    def _sent(self) -> int:
        return sum(map(sum, self._flood.count().values()))

    def _good(self) -> tuple[int, int, int]:
        """Requests of this step: made, answered rightly, ended."""
        made, answered, ended = map(sum, zip(*self._clients.count()["counts"].values(), strict=True))
        return made, answered, ended
