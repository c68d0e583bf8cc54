"""Rings opened anew under traffic: every frame crosses once and in its flow's order, or is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from appliance.datapath.wiring import Passage
from appliance.epochs import GracePeriodExpired
from appliance.ir import Engine
from hooks.errors import InterfaceError
from hooks.interfaces.netdev import find_interface
from hooks.opener.opener import Opener
from tests.appliance.datapath.conftest import Box, an_opener, running_box, this_process
from tests.appliance.datapath.test_forwarding import PASS, frame
from tests.appliance.datapath.test_swap import held
from tests.netns import run_inside
from tests.numbered import numbered_frames

By = Callable[[], AbstractContextManager[Opener]]
PER_SECOND = 10_000
GROWING = (3000, 6000, 9000)  # bytes: each needs larger slots than the one before


def passage(box: Box, *names: str) -> Passage:
    return Passage(*run_inside(box.net.box, lambda: [find_interface(name) for name in names]))


def rewire(box: Box, *passages: Passage) -> int:
    return run_inside(box.net.box, lambda: box.datapath.rewire(passages))


def counted(box: Box) -> int:
    """Frames that the box says it lost."""
    return sum(
        sum(each.capture_dropped.values()) + sum(each.transmit_errors.values())
        for each in box.datapath.statistics().values()
    )


@pytest.mark.parametrize("by", [this_process, an_opener])
@pytest.mark.parametrize("workers", [1, 2])
def test_mtus_grow_under_traffic(engine: Engine, workers: int, by: By) -> None:
    with running_box(engine, workers=workers, by=by) as box:
        first = {wiring.socket for worker in box.datapath._threads for wiring in worker.wirings}
        with numbered_frames(box.net, per_second=PER_SECOND) as stream:
            for mtu in GROWING:
                for place, name in ((box.net.box, "outside"), (box.net.box, "inside")):
                    time.sleep(0.05)
                    place.set_link(name, mtu=mtu)
                    rewire(box, passage(box, "outside", "inside"))
            time.sleep(0.05)
        last = {wiring.socket for worker in box.datapath._threads for wiring in worker.wirings}
        assert not first & last, "no ring was opened anew, and this test proves nothing"
        assert stream.missed == 0
        assert stream.disordered == []
        assert stream.sent == stream.received + counted(box)
        assert box.datapath.statistics()["inside"].transmitted.packets == stream.received


@pytest.mark.parametrize("by", [this_process, an_opener])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_passage_that_comes_and_goes_costs_another_no_frame(engine: Engine, workers: int, by: By) -> None:
    with running_box(engine, workers=workers, by=by) as box:
        for name in ("left", "right"):
            box.net.box.add_veth(name, box.net.inside, f"far-{name}")
        one, two = passage(box, "outside", "inside"), passage(box, "left", "right")
        sockets = [wiring.socket for wiring in box.datapath._threads[0].wirings]
        with numbered_frames(box.net, per_second=PER_SECOND) as stream:
            for passages in ([two, one], [one], [one, two], [one]):
                time.sleep(0.05)
                assert rewire(box, *passages) == 0
            time.sleep(0.05)
        assert [wiring.socket for wiring in box.datapath._threads[0].wirings] == sockets
        assert (stream.missed, stream.disordered) == (0, [])
        assert stream.sent == stream.received + counted(box)
        assert box.datapath.statistics()["outside"].received.packets == stream.received


def test_long_frames_cross_the_rings_that_were_opened_for_them(box: Box) -> None:
    for place, name in ((box.net.outside, "eth0"), (box.net.box, "outside"), (box.net.inside, "eth0")):
        place.set_link(name, mtu=9000)
    box.net.box.set_link("inside", mtu=9000)
    rewire(box, passage(box, "outside", "inside"))
    long = frame(PASS) + bytes(8000)
    with box.net.outside.packet_socket() as near, box.net.inside.packet_socket() as far:
        near.send(long)
        assert far.receive(1) == [long]


def test_rings_that_cannot_be_opened_leave_all_as_it_was(box: Box) -> None:
    box.net.box.add_veth("left", box.net.inside, "far-left")
    one, gone = passage(box, "outside", "inside"), passage(box, "left")
    box.net.box.delete_link("left")
    wirings = box.datapath._threads[0].wirings
    with pytest.raises(InterfaceError, match="left"):
        rewire(box, one, gone)
    assert box.datapath._threads[0].wirings == wirings
    with box.net.outside.packet_socket() as near, box.net.inside.packet_socket() as far:
        near.send(frame(PASS))
        assert far.receive(1) == [frame(PASS)]


def test_a_worker_that_hangs_keeps_its_rings(engine: Engine) -> None:
    """The other one goes on."""
    with running_box(engine, workers=2) as box, held(box):
        wirings = [worker.wirings for worker in box.datapath._threads]
        one = passage(box, "outside", "inside")
        with pytest.raises(GracePeriodExpired, match=r"^waited 0.05 s for worker \d: "):
            run_inside(box.net.box, lambda: box.datapath.rewire([one], timeout=0.05))
        assert [worker.wirings for worker in box.datapath._threads] == wirings
        assert sum(worker.paused for worker in box.datapath._threads) == 0


def test_what_stands_in_a_ring_that_closes_is_counted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """No time is left to serve it."""
    monkeypatch.setattr("appliance.datapath.datapath.DRAIN_SECONDS", 0.0)
    with running_box(engine) as box:
        box.datapath._threads[0].pause(1.0)
        with box.net.outside.packet_socket() as near:
            near.send(*(frame(PASS, number=number) for number in range(5)))
        box.net.box.set_link("outside", mtu=9000)
        assert rewire(box, passage(box, "outside", "inside")) == 5
        assert box.datapath.statistics()["outside"].capture_dropped["rings_closed"] == 5
