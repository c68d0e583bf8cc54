"""The bisection, against somebody whose limit is known, and what is told of it."""

from __future__ import annotations

import pytest

from appliance.lab.limit.report import Limit, LimitReport, Step
from appliance.lab.limit.search import search
from appliance.lab.report import Traffic


def step(rate: float, answered: int = 2000, offered: float | None = None) -> Step:
    sent = rate if offered is None else offered
    return Step(rate, sent, Traffic(2000, answered), Traffic(int(sent), int(sent / 100)))


def tried(limit: float, machine: float = 1e9, most: int = 12) -> list[Step]:
    """The steps of a search up to a million, of one who breaks at `limit`, on a machine that can't send more."""

    def measure(rate: float) -> Step:
        offered = min(rate, machine)
        return step(rate, 2000 if offered <= limit else 1000, offered)

    return list(search(measure, 1_000_000.0, most))


@pytest.mark.parametrize("limit", [15_000, 123_456, 999_999])
def test_a_limit_is_found_to_a_few_percent(limit: int) -> None:
    steps = tried(limit)
    found = Limit("somebody", steps)
    assert [each.rate for each in steps[:2]] == [0, 1_000_000]
    assert len(steps) <= 12
    assert found.best is not None
    assert found.breaks is not None
    assert limit / 1.05 < found.best.offered <= limit < found.breaks < limit * 1.05


def test_who_bears_all_is_asked_once() -> None:
    steps = tried(2_000_000)
    assert [each.rate for each in steps] == [0, 1_000_000]
    assert Limit("somebody", steps).breaks is None


def test_who_answers_nobody_in_peace_is_not_attacked() -> None:
    assert [each.rate for each in search(lambda rate: step(rate, 1990), 1e6, 9)] == [0.0]


def test_rates_that_the_machine_cant_send_are_not_searched() -> None:
    steps = tried(100_000, machine=300_000)
    assert [each.rate for each in steps[:2]] == [0, 1_000_000]
    assert all(each.rate < 600_000 for each in steps[2:])
    best = Limit("somebody", steps).best
    assert best is not None
    assert 95_000 < best.offered <= 100_000


def test_steps_are_bounded_and_who_bears_little_has_no_limit() -> None:
    steps = tried(5, most=6)
    assert len(steps) == 6
    found = Limit("somebody", steps)
    assert found.best is None
    assert found.breaks == min(each.offered for each in steps if each.rate)


@pytest.mark.parametrize(("asked", "answered", "holds"), [(2000, 1998, True), (2000, 1997, False), (0, 0, False)])
def test_two_in_two_thousand_may_be_lost(asked: int, answered: int, holds: bool) -> None:
    assert Step(1.0, 1.0, Traffic(asked, answered), Traffic()).holds is holds


def test_the_document() -> None:
    measured = Limit("tidegate", [step(0.0), step(1000.4), step(4000.0, 1500, offered=3000.2)])
    report = LimitReport({"syn": 1.0}, [measured, Limit("nftables", lack="nft is not installed")])
    document = report.as_json()
    assert list(document) == ["attack", "least_answered", "limits"]
    ours, theirs = document["limits"]
    assert (ours["who"], ours["limit"], ours["breaks"], ours["lack"]) == ("tidegate", 1000, 3000, None)
    assert ours["steps"][2] == {
        "rate": 4000,
        "offered": 3000,
        "good": {"sent": 2000, "received": 1500},
        "attack": {"sent": 3000, "received": 30},
        "holds": False,
    }
    assert theirs == {"who": "nftables", "limit": None, "breaks": None, "lack": "nft is not installed", "steps": []}
