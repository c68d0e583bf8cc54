"""Running the lab: everything in its place, traffic for a while, an exact account, and nothing left behind.

    network up ─ server ready ─ box forwards ─ clients and attackers go ─ ticks ─ attackers end ─ clients end ─ count

The last report is made when every frame that was sent has had time to arrive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from appliance.lab.attacks.mix import USUAL_MIX, Mix
from appliance.lab.attacks.names import marker
from appliance.lab.box import LabBox, TidegateBox
from appliance.lab.clients import USUAL, clients_settings
from appliance.lab.config import lab_config
from appliance.lab.errors import LabFailed
from appliance.lab.network import CLIENT_IPV4, SERVER_IPV4, LabNetwork
from appliance.lab.report import LabReport, Traffic, Unanswered
from appliance.lab.requests import Asking, ask_name
from appliance.lab.signals import ending_on_signals
from appliance.lab.worker import Counts, Worker
from hooks.af_packet.counters import FrameCounter

ATTACK_RATE = 30_000.0  # frames per second, all attacks together
TICK_SECONDS = 1.0
START_SECONDS = 60.0
SETTLE_SECONDS = 0.3
SOCKET_RATE = 150_000.0  # up to it a packet socket keeps up, and sends more evenly than the kernel's live frames

OnTick = Callable[[LabReport], None]


def run_lab(
    config: Path | None,
    seconds: float,
    on_tick: OnTick = lambda _: None,
    *,
    box: LabBox | None = None,
    attack_rate: float = ATTACK_RATE,
    mix: Mix = USUAL_MIX,
) -> LabReport:
    """Run the lab for `seconds` of traffic and return its final report; `on_tick` gets one about every second.

    `config` is a box's document or a rule set, None for the default rule set; `box` stands in for Tidegate;
    `attack_rate` is in frames a second, of all attacks of the `mix` together. Raises LabFailed, RuleSetRefused and
    HookError; SIGTERM, or the end of its terminal, ends the lab as Ctrl-C does. Whatever happens, every process and
    namespace is gone afterwards.
    """
    standing = box or TidegateBox(lab_config(config))
    with ending_on_signals(), LabNetwork() as network, ExitStack() as parts:
        return _Lab(network, standing, parts, attack_rate, mix).run(seconds, on_tick)


class _Lab:
    """The parts of one run; `parts` ends them."""

    def __init__(self, network: LabNetwork, box: LabBox, parts: ExitStack, attack_rate: float, mix: Mix) -> None:
        self._network = network
        self._box = box
        self._server = parts.enter_context(Worker(network.server, "server", {}))
        self._in_kernel = attack_rate > SOCKET_RATE
        place, interface = network.towards_the_box if self._in_kernel else (network.attackers, "eth0")
        flood = {"interface": interface, "mix": dict(mix), "rate": attack_rate, "in_kernel": self._in_kernel}
        self._flood = parts.enter_context(Worker(place, "flood", flood))
        self._clients = parts.enter_context(Worker(network.clients, "clients", clients_settings(USUAL)))
        parts.enter_context(box.running(network))
        with network.server.entered():
            self._counters = {
                name: parts.enter_context(FrameCounter("eth0", bytes.fromhex(marker(name).replace(":", ""))))
                for name in mix
            }

    def run(self, seconds: float, on_tick: OnTick) -> LabReport:
        for worker in (self._server, self._clients, self._flood):
            worker.wait_ready()
        self._server.go()
        await_forwarding(self._network, self._box)
        if self._in_kernel:
            self._network.take_in_as_a_card()
        self._clients.go()
        self._flood.go()
        start = time.monotonic()
        end = start + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, TICK_SECONDS))
            self._box.check()
            self._server.count()  # is it still there?
            arrived = self._received()  # first, so that no frame arrives that is not yet counted as sent
            on_tick(self._report(time.monotonic() - start, self._clients.count(), self._flood.count(), arrived))
        passed = time.monotonic() - start
        sent = self._flood.finish()
        good = self._clients.finish()
        time.sleep(SETTLE_SECONDS)
        return self._report(passed, good, sent, self._received())

    def _received(self) -> dict[str, int]:
        return {name: counter.read() for name, counter in self._counters.items()}

    def _report(self, seconds: float, good: Any, sent: Counts, arrived: dict[str, int]) -> LabReport:
        return LabReport(
            seconds=seconds,
            good_by_kind={kind: Traffic(made, answered) for kind, (made, answered, _) in good["counts"].items()},
            unanswered=[Unanswered(*each) for each in good["unanswered"]],
            attack_by_kind={name: Traffic(sum(sent[name]), count) for name, count in arrived.items()},
            box=self._box.counts(),
        )


def await_forwarding(network: LabNetwork, box: LabBox) -> None:
    """Wait until a client's question comes through the box and is answered. Raises LabFailed."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        box.check()
        with suppress(OSError), network.clients.entered():
            if ask_name(SERVER_IPV4, Asking(1, CLIENT_IPV4[0], patience=0.1)):
                return
        time.sleep(0.05)
    raise LabFailed(
        f"nothing came through the box in {START_SECONDS:g} seconds",
        hint="does the rule set let clients ask by UDP port 53?",
    )
