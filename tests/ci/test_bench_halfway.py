"""The benchmark of half the breaking point, in small: a bridge, which bears the little that it is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.lab.peers import BridgeBox
from appliance.lab.report import Traffic
from tests.bench import bench_halfway
from tests.bench.attacked import Window, attacked
from tests.bench.bench_halfway import Outcome
from tests.bench.measuring import build_tools
from tests.bench.visits import Visit
from tests.capabilities import requires

RATE = 4000.0


@pytest.mark.netns
@requires("bpf")
def test_half_of_what_is_borne_is_held_and_the_clients_tell_how_they_fared(tmp_path: Path) -> None:
    build_tools(tmp_path)
    with attacked(tmp_path, BridgeBox(), {"xmas": 1.0}) as there:
        outcome = bench_halfway.measure(there, "xmas", 0.4, highest=RATE)
    assert 0.5 * RATE < outcome.limit < 1.3 * RATE
    assert len(outcome.calm) == len(outcome.storm) == bench_halfway.ROUNDS
    for window in (*outcome.calm, *outcome.storm):
        visit = window.visit
        assert visit.connections >= visit.alive > visit.connections // 2  # which of them live a busy machine says, too
        assert visit.new.sent > 0
        assert visit.held.sent > 0
        assert visit.held.received == visit.held.sent
        assert 0 < visit.median <= visit.high
    assert all(window.attack == Traffic() for window in outcome.calm)
    assert all(window.attack.received > 0 for window in outcome.storm), "a bridge lets them through"
    assert outcome.new.sent == sum(window.visit.new.sent for window in outcome.storm)


def test_a_connection_that_died_and_one_that_was_not_made_are_told() -> None:
    def window(alive: int, made: int, median: float) -> Window:
        return Window(1.0, 1.0, Traffic(9, 0), Visit(32, alive, Traffic(), Traffic(500, made), Traffic(), median, 1.0))

    calm = [window(32, 500, median) for median in (0.1, 0.2, 0.1)]
    storm = [window(31, 499, median) for median in (0.2, 0.9, 0.2)]
    alive, made, added = bench_halfway.figures_of(Outcome("syn", 2.0, calm, storm))
    assert (alive.value, alive.met) == (96.875, False)
    assert (made.value, made.met) == (pytest.approx(99.8), False)
    assert (added.value, added.met) == (pytest.approx(0.1), True)
    assert "+0.100 to +0.700" in added.remark


def test_late_answers_are_not_prompt() -> None:
    held, new = {"connections": 32, "alive": 32, "asked": 9, "made": 9, "late": 2}, {"asked": 5, "made": 4, "late": 1}
    visit = Visit.of({"held": held, "new": new, "round_trips": [1e5, 2e5, 3e5, 4e6]})
    assert (visit.prompt, visit.new, visit.median, visit.high) == (Traffic(14, 10), Traffic(5, 4), 0.2, 4.0)
