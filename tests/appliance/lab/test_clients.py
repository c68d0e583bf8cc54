"""How good clients count: each request in the step in which it was made, and each lost one by name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from appliance.lab.clients import HURRIED, TOLD, USUAL, Client, Pace, Tallies, clients_settings, make_clients
from appliance.lab.requests import Asking

SOURCES = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


def run(request: Callable[[Asking], bool], seconds: float = 0.2, number: int = 0, clients: int = 1) -> Tallies:
    tallies, over = Tallies(["dns4"]), threading.Event()
    client = Client("dns4", request, SOURCES, Pace(clients, 0.001, 7.0), number, tallies)
    client.start(over)
    time.sleep(seconds)
    over.set()
    client.thread.join()
    return tallies


def test_requests_are_counted_and_lost_ones_are_told() -> None:
    asked: list[Asking] = []

    def request(asking: Asking) -> bool:
        asked.append(asking)
        asking.port = 40_000 + asking.number
        if asking.number % 3 == 1:
            raise TimeoutError
        return asking.number % 3 == 2

    tally = run(request).told
    made = len(asked)
    assert made > 5
    assert tally.counts == {"dns4": [made, sum(each.number % 3 == 2 for each in asked), made]}
    lost = [each for each in asked if each.number % 3 != 2][:TOLD]
    assert [(kind, source, port) for _, kind, source, port in tally.unanswered] == [
        ("dns4", SOURCES[each.number % 3], each.port) for each in lost
    ]
    assert {each.patience for each in asked} == {7.0}
    assert 0 < tally.unanswered[0][0] < 0.2


def test_clients_of_a_kind_share_the_numbers() -> None:
    numbers: list[list[int]] = [[], []]
    for number in range(2):
        run(lambda asking, mine=numbers[number]: bool(mine.append(asking.number)), number=number, clients=2)
    assert numbers[0][:3] == [1, 3, 5]
    assert numbers[1][:3] == [2, 4, 6]


def test_a_late_answer_counts_where_it_was_asked_for() -> None:
    tallies, over, release = Tallies(["dns4"]), threading.Event(), threading.Event()
    client = Client("dns4", lambda _: release.wait(5), SOURCES, Pace(1, 0.001, 7.0), 0, tallies)
    tallies.turn_to(1)
    first = tallies.told
    client.start(over)
    while not first.counts["dns4"][0]:
        time.sleep(0.001)
    tallies.turn_to(0)
    assert tallies.told is first, "the step is over, and still the one that is told"
    tallies.turn_to(2)
    over.set()
    release.set()
    client.thread.join()
    assert first.counts == {"dns4": [1, 1, 1]}
    assert tallies.document() == {"counts": {"dns4": [0, 0, 0]}, "unanswered": []}


@pytest.mark.parametrize("paces", [USUAL, HURRIED])
def test_every_kind_asks_by_both_versions(paces: dict[str, Pace]) -> None:
    clients, tallies = make_clients(clients_settings(paces))
    assert list(tallies.told.counts) == ["http4", "dns4", "ping4", "http6", "dns6", "ping6"]
    assert len(clients) == 2 * sum(pace.clients for pace in paces.values())
    assert all((":" in client.sources[0]) == client.kind.endswith("6") for client in clients)
