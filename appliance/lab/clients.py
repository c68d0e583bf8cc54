"""The lab's good clients. A request counts as sent when it is made and as received when the *right* answer came."""

from __future__ import annotations

import http.client
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from appliance.lab.network import CLIENT_IPV4, CLIENT_IPV6, SERVER_IPV4, SERVER_IPV6
from appliance.lab.requests import Asking, ask_name, fetch, ping
from appliance.lab.worker import STEP, Lab

TOLD = 100  # unanswered requests that are told one by one


class Pace(NamedTuple):
    """So many clients of a kind in each IP version, each asking `pause` seconds after the last answer, or after
    `patience` seconds without one."""

    clients: int
    pause: float
    patience: float


# A box may let a new source's first SYN fall and pass its retransmission, so a connection may take some seconds.
USUAL: Mapping[str, Pace] = {"http": Pace(1, 0.2, 15.0), "dns": Pace(1, 0.02, 3.0), "ping": Pace(1, 0.1, 3.0)}
# Some 500 requests a second, of which one that is lost holds its client up for a second.
HURRIED: Mapping[str, Pace] = {"http": Pace(2, 0.2, 3.0), "dns": Pace(4, 0.02, 1.0), "ping": Pace(3, 0.05, 1.0)}


@dataclass
class Tally:
    """Requests made, answered rightly, and ended one way or the other; and those that ended badly: seconds since
    `begun`, kind, and where they came from. Clients count, any thread may read."""

    kinds: tuple[str, ...]
    begun: float = field(default_factory=time.monotonic)
    counts: dict[str, list[int]] = field(init=False)
    unanswered: list[tuple[float, str, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = {kind: [0, 0, 0] for kind in self.kinds}


class Tallies:
    """The tally of now, and the one that is told: that of the last step, or of all time where there are no steps.
    Clients write under the lock, any thread may read; one turns to the next step."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = tuple(kinds)
        self.now = self.told = Tally(self._kinds)
        self.lock = threading.Lock()

    def document(self) -> dict[str, Any]:
        """What the lab is told."""
        return {"counts": self.told.counts, "unanswered": self.told.unanswered}

    def turn_to(self, step: float) -> None:
        """Begin step 1, 2…; 0 ends the step: what is asked from then on counts nowhere."""
        self.now = Tally(self._kinds)
        if step:
            self.told = self.now


@dataclass
class Client:
    """Makes one kind of request, from one address after another; ends when `over` is set. `number` of `count` that do
    the same: no two requests of theirs have the same number. A thread of its own."""

    kind: str
    request: Callable[[Asking], bool]
    sources: Sequence[str]
    pace: Pace
    number: int
    tallies: Tallies
    thread: threading.Thread = field(init=False)

    def start(self, over: threading.Event) -> None:
        self.thread = threading.Thread(target=self._run, args=(over,))
        self.thread.start()

    def _run(self, over: threading.Event) -> None:
        for number in itertools.count(1 + self.number, self.pace.clients):
            if over.wait(self.pace.pause):
                break
            self._ask(number, self.sources[number % len(self.sources)])

    def _ask(self, number: int, source: str) -> None:
        tally, asking = self.tallies.now, Asking(number, source, self.pace.patience)
        began = time.monotonic()
        self._add(tally, 0)
        answered = False
        with suppress(OSError, http.client.HTTPException):
            answered = self.request(asking)
        if answered:
            self._add(tally, 1)
        elif len(tally.unanswered) < TOLD:
            tally.unanswered.append((round(began - tally.begun, 3), self.kind, source, asking.port))
        self._add(tally, 2)

    def _add(self, tally: Tally, column: int) -> None:
        with self.tallies.lock:
            tally.counts[self.kind][column] += 1


REQUESTS: Mapping[str, Callable[[str, Asking], bool]] = {"http": fetch, "dns": ask_name, "ping": ping}
VERSIONS = ("4", "6")


def clients_settings(paces: Mapping[str, Pace]) -> dict[str, Any]:
    """What the worker is started with."""
    return {
        "servers": {"4": SERVER_IPV4, "6": SERVER_IPV6},
        "sources": {"4": CLIENT_IPV4, "6": CLIENT_IPV6},
        "paces": paces,
    }


def make_clients(settings: Mapping[str, Any]) -> tuple[list[Client], Tallies]:
    """All of them, of every kind of request by IPv4 and by IPv6."""
    paces = {kind: Pace(*pace) for kind, pace in settings["paces"].items()}
    tallies = Tallies(kind + version for version in VERSIONS for kind in paces)
    clients = [
        Client(
            kind + version,
            partial(REQUESTS[kind], settings["servers"][version]),
            settings["sources"][version],
            pace,
            number,
            tallies,
        )
        for version in VERSIONS
        for kind, pace in paces.items()
        for number in range(pace.clients)
    ]
    return clients, tallies


def main() -> None:
    clients, tallies = make_clients(json.loads(sys.argv[1]))
    lab = Lab(tallies.document, {STEP: tallies.turn_to})
    over = threading.Event()
    if lab.ready():
        tallies.turn_to(1)
        for client in clients:
            client.start(over)
        while not lab.is_over(1.0):
            pass
        over.set()
        for client in clients:
            client.thread.join()
        lab.report()


if __name__ == "__main__":
    main()
