"""A box that is given other rules while it serves."""

from __future__ import annotations

import resource
import signal
import threading
import time
from pathlib import Path
from typing import cast
from unittest.mock import MagicMock

import pytest

from appliance.box.box import Box
from appliance.box.traffic import Traffic
from appliance.epochs import GRACE_SECONDS, GracePeriodExpired
from tests.appliance.box.conftest import DROP_NINE, HEAD, Start, after
from tests.appliance.box.wire import arrivals, udp
from tests.netns import Topology
from tests.numbered import numbered_frames
from tests.rules_at_scale import five_fields


def test_reload_changes_rules_and_keeps_counts(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    arrivals(net, udp(9), udp(9))
    box.reload(
        "rules:\n  - {id: ten, match: {udp.dport: 10}, action: drop}\n" + DROP_NINE.removeprefix("rules:\n"), "reloaded"
    )
    assert arrivals(net, udp(9), udp(10), udp(11)) == [udp(11)]
    assert (box.rule("nine"), box.rule("ten")) == (3, 1)
    assert box.metrics()['tidegate_reloads_total{result="success"}'] == 1


def test_reload_keeps_the_state_of_a_rate(net: Topology, start: Start) -> None:
    """The bucket is empty before the reload; were it forgotten, four more frames would pass."""
    rate = "rules:\n  - {id: slow, match: {udp.dport: 9}, rate: {pps: 0.01, burst: 4, per: ip.src}, action: drop}\n"
    box = start(rate)
    assert len(arrivals(net, *[udp(9)] * 6)) == 4
    box.reload(rate + "  - {id: ten, match: {udp.dport: 10}, action: drop}\n", "reloaded")
    assert arrivals(net, *[udp(9)] * 6) == []
    assert box.rule("slow") == 8


def test_a_reload_of_many_rules_loses_and_reorders_nothing(net: Topology, start: Start) -> None:
    """While a thousand rules are compiled, and at the swap, frames cross in the order of their flows."""
    box = start(five_fields(1000))
    with numbered_frames(net, per_second=3000) as stream:
        for number in (1, 2):
            box.reload(five_fields(1000, first=500 * number), "reloaded", times=number)
    assert (stream.missed, stream.disordered) == (0, [])
    assert stream.sent == stream.received
    assert box.rule("r1000") == 0
    assert box.end() == 0


def test_a_bad_reload_leaves_the_old_rules_and_says_why(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    box.reload("rules:\n  - {id: nine, match: {udp.dprt: 9}, action: drop}\n", "reload refused")
    assert f"{box.config}:5:" in box.log
    assert "did you mean" in box.log
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.metrics()['tidegate_reloads_total{result="failure"}'] == 1
    box.reload(DROP_NINE, "reloaded")


def test_a_reload_cannot_change_interfaces(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    box.config.write_text((HEAD + DROP_NINE).replace("inline", "tap").replace("inside: inside, ", ""))
    box.process.send_signal(signal.SIGHUP)
    box.wait_for("reload refused")
    assert "a reload can't change `interfaces`\n  hint: restart the box for that" in box.log
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]


def test_a_reload_without_memory_leaves_the_old_rules_and_says_why(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    pages = int(Path(f"/proc/{box.process.pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize()  # of address space: what it has by now, so that nothing further is granted
    resource.prlimit(box.process.pid, resource.RLIMIT_AS, (limit, limit))
    box.reload(DROP_NINE.replace("nine", "other"), "reload refused, the running rules stay")
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.end() == 0


FAIL_ONCE = """
from {module} import {cls} as broken
real = broken.{method}
def fail(self, *arguments, **others):
    broken.{method} = real
    raise OSError("no more of it")
broken.{method} = fail
"""


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(
            {"module": "appliance.jit.loaded", "cls": "LoadedCollection", "method": "take_over"}, id="take-over"
        ),
        pytest.param({"module": "appliance.box.traffic", "cls": "Traffic", "method": "swap"}, id="swap"),
    ],
)
def test_an_exchange_that_fails_leaves_the_old_rules_and_says_why(
    net: Topology, start: Start, broken: dict[str, str]
) -> None:
    other = DROP_NINE.replace("9", "10")
    box = start(DROP_NINE, program=after(FAIL_ONCE.format(**broken)))
    box.reload(other, "reload refused, the running rules stay: OSError: no more of it")
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.rule("nine") == 1
    assert box.metrics()['tidegate_reloads_total{result="failure"}'] == 1
    box.reload(other, "reloaded")
    assert arrivals(net, udp(9), udp(10)) == [udp(9)]
    assert "can't be put away" not in box.log
    assert box.end() == 0


def test_the_way_back_from_a_worker_that_hangs_is_in_the_same_time_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A worker that did not leave the old code in all that time is not waited for as long again."""
    waited: list[float] = []

    class HungTraffic:
        def swap(self, run: object, timeout: float = GRACE_SECONDS, *, before: object) -> None:
            waited.append(timeout)
            time.sleep(min(timeout, 0.1))
            raise GracePeriodExpired(["worker 0"], timeout)

    monkeypatch.setattr("appliance.box.box.GRACE_SECONDS", 0.1)
    said: list[str] = []
    box = Box(tmp_path / "box.yaml", said.append)
    before, after_it = MagicMock(), MagicMock()
    box._generation, box._traffic = before, cast(Traffic, HungTraffic())
    with pytest.raises(GracePeriodExpired):
        box._exchange(after_it)
    assert len(waited) == 2
    assert 0 < waited[0] <= 0.1
    assert waited[1] == 0
    assert box._generation is before
    (complaint,) = said
    assert complaint.startswith("the rules that failed can't be put away: waited 0 s for worker 0: no quiescent state")


def test_old_rules_that_cannot_be_put_away_do_not_end_the_box(net: Topology, start: Start) -> None:
    broken = {"module": "appliance.box.totals", "cls": "Totals", "method": "keep"}
    box = start(DROP_NINE, program=after(FAIL_ONCE.format(**broken)))
    box.reload(DROP_NINE.replace("9", "10"), "reloaded")
    assert "the rules before this reload can't be put away: OSError: no more of it" in box.log
    assert arrivals(net, udp(9), udp(10)) == [udp(9)]
    assert box.end() == 0


def test_it_ends_while_somebody_reloads_without_pause(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    over = threading.Event()

    def storm() -> None:
        while not over.wait(0.001) and box.process.poll() is None:
            box.process.send_signal(signal.SIGHUP)

    sender = threading.Thread(target=storm)
    sender.start()
    try:
        box.wait_for("reloaded", times=2)
        assert box.end() == 0
    finally:
        over.set()
        sender.join()


def test_reloads_leave_no_descriptors_behind(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    descriptors = Path(f"/proc/{box.process.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for number in range(1, 4):
        box.reload(DROP_NINE.replace("9", str(number)), "reloaded", times=number)
    assert len(list(descriptors.iterdir())) == before
