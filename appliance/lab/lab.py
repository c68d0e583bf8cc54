"""Running the lab: everything in its place, traffic for a while, an exact account, and nothing left behind.

    network up ─ server ready ─ box forwards ─ clients and attackers go ─ ticks ─ attackers end ─ clients end ─ count

The last report is made when every frame that was sent has had time to arrive.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from appliance.lab.box import LabBox, TidegateBox
from appliance.lab.clients import ask_name
from appliance.lab.config import lab_config
from appliance.lab.errors import LabFailed
from appliance.lab.names import ATTACK_NAMES, marker
from appliance.lab.network import CLIENT_IPV4, CLIENT_IPV6, SERVER_IPV4, SERVER_IPV6, LabNetwork
from appliance.lab.report import LabReport, Traffic
from appliance.lab.worker import Counts, Worker
from hooks.af_packet.counters import FrameCounter

ATTACK_RATE = 30_000.0  # frames per second, all attacks together
TICK_SECONDS = 1.0
START_SECONDS = 20.0
SETTLE_SECONDS = 0.3
ENDING = (signal.SIGTERM, signal.SIGHUP)

OnTick = Callable[[LabReport], None]


def run_lab(
    config: Path | None,
    seconds: float,
    on_tick: OnTick = lambda _: None,
    *,
    box: LabBox | None = None,
    attack_rate: float = ATTACK_RATE,
) -> LabReport:
    """Run the lab for `seconds` of traffic and return its final report; `on_tick` gets one about every second.

    `config` is a box's document or a rule set, None for the default rule set; `box` stands in for Tidegate. Raises
    LabFailed, RuleSetRefused and HookError; SIGTERM, or the end of its terminal, ends the lab as Ctrl-C does. Whatever
    happens, every process and namespace is gone afterwards.
    """
    standing = box or TidegateBox(lab_config(config))
    with _ending_on_signals(), LabNetwork() as network, ExitStack() as parts:
        return _Lab(network, standing, parts, attack_rate).run(seconds, on_tick)


class _Lab:
    """The parts of one run; `parts` ends them."""

    def __init__(self, network: LabNetwork, box: LabBox, parts: ExitStack, attack_rate: float) -> None:
        self._network = network
        self._box = box
        self._server = parts.enter_context(Worker(network.server, "server", {}))
        self._flood = parts.enter_context(
            Worker(network.attackers, "flood", {"interface": "eth0", "rate": attack_rate})
        )
        sources = {"4": CLIENT_IPV4, "6": CLIENT_IPV6}
        settings = {"servers": {"4": SERVER_IPV4, "6": SERVER_IPV6}, "sources": sources}
        self._clients = parts.enter_context(Worker(network.clients, "clients", settings))
        parts.enter_context(box.running(network))
        with network.server.entered():
            self._counters = {
                name: parts.enter_context(FrameCounter("eth0", bytes.fromhex(marker(name).replace(":", ""))))
                for name in ATTACK_NAMES
            }

    def run(self, seconds: float, on_tick: OnTick) -> LabReport:
        for worker in (self._server, self._clients, self._flood):
            worker.wait_ready()
        self._server.go()
        self._await_forwarding()
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

    def _await_forwarding(self) -> None:
        """Wait until a client's question comes through the box and is answered. Raises LabFailed."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self._box.check()
            with suppress(OSError), self._network.clients.entered():
                if ask_name(SERVER_IPV4, 1, CLIENT_IPV4[0], timeout=0.1):
                    return
            time.sleep(0.05)
        raise LabFailed(
            f"nothing came through the box in {START_SECONDS:g} seconds",
            hint="does the rule set let clients ask by UDP port 53?",
        )

    def _received(self) -> dict[str, int]:
        return {name: counter.read() for name, counter in self._counters.items()}

    def _report(self, seconds: float, good: Counts, sent: Counts, arrived: dict[str, int]) -> LabReport:
        return LabReport(
            seconds=seconds,
            good_by_kind={kind: Traffic(*counts) for kind, counts in good.items()},
            attack_by_kind={name: Traffic(sum(sent[name]), arrived[name]) for name in ATTACK_NAMES},
            box=self._box.counts(),
        )


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Turn the signals of ENDING into SystemExit for the length of the block: everything is undone on the way out.

    One that is ignored already (`nohup`) stays so.
    """

    def end(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's business
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
