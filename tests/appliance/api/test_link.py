"""Programs attached to real interfaces, in a network of namespaces."""

from __future__ import annotations

import threading
import time

import pytest

from appliance.api import Link, Loaded, NoSuchName, WrongState, open_object, synchronize
from appliance.maps import MapOfMaps, open_map
from hooks.contracts.contract import Verdict
from hooks.errors import InterfaceError
from hooks.interfaces.isolation_watch import IsolationState
from hooks.interfaces.netdev import interface_state
from tests.appliance.api.objects import example
from tests.appliance.ebpf.compiling import PROGRAMS
from tests.netns import Topology, run_inside

MACS = bytes.fromhex("020000000002020000000001")
FRAMES = [MACS + b"\x88\xb5" + number.to_bytes(46, "big") for number in range(5)]


def load(workers: int = 1) -> Loaded:
    found = open_object(example())
    found.programs["unsafe"].autoload = False
    return found.load(workers=workers)


def settled(link: Link, interface: str, packets: int) -> None:
    """Wait until the link has judged that many frames."""
    for _ in range(200):
        if link.statistics()[interface].received.packets >= packets:
            return
        time.sleep(0.01)
    raise AssertionError(link.statistics())


def test_inline(topology: Topology) -> None:
    with load() as loaded, topology.outside.packet_socket() as wire, topology.inside.packet_socket() as far:
        link = run_inside(topology.box, lambda: loaded.programs["count"].attach("outside", "inside"))
        wire.send(*FRAMES)
        assert far.receive(5, 0.5) == FRAMES[:3], "the variable `limit` is 3"
        far.send(FRAMES[4])
        assert wire.receive(1) == [FRAMES[4]], "frames from inside pass"
        assert link.statistics()["outside"].verdicts[Verdict.DROP].packets == 2
        assert len(loaded.maps["seen"]) == 1
        assert loaded.variables["frames"] == (5).to_bytes(8, "little")
        run_inside(topology.box, link.detach)
        link.detach()
        assert link.statistics()["outside"].received.packets == 5
        wire.send(FRAMES[0])
        assert far.drain(0.1) == []
        assert len(loaded.maps["seen"]) == 1, "maps are usable without the link"


def test_both_ways(topology: Topology) -> None:
    with load() as loaded, topology.inside.packet_socket() as far:
        with run_inside(topology.box, lambda: loaded.programs["count"].attach("outside", "inside", outward="back")):
            far.send(FRAMES[0])
            assert far.receive(1) == [FRAMES[0]]
        assert len(loaded.maps["seen"]) == 0


def test_two_workers(topology: Topology) -> None:
    with load(workers=2) as loaded, topology.outside.packet_socket() as wire, topology.inside.packet_socket() as far:
        with run_inside(topology.box, lambda: loaded.programs["count"].attach("outside", "inside")):
            wire.send(*FRAMES[:2])
            assert far.receive(2) == FRAMES[:2]
        assert loaded.variables["frames"] == (2).to_bytes(8, "little")


def test_a_tap_enforces_nothing_and_changes_nothing(topology: Topology) -> None:
    before = run_inside(topology.box, lambda: interface_state("outside"))
    with load() as loaded, topology.outside.packet_socket() as wire, topology.inside.packet_socket() as far:
        with run_inside(topology.box, lambda: loaded.programs["back"].attach("outside")) as link:
            assert run_inside(topology.box, lambda: interface_state("outside")) == before
            wire.send(*FRAMES)
            settled(link, "outside", 5)
            assert link.statistics()["outside"].verdicts[Verdict.TX].packets == 5
            assert list(link.statistics()) == ["outside"]
        assert wire.drain() == far.drain() == []


def test_one_link_at_a_time_and_another_afterwards(topology: Topology) -> None:
    def attach_twice(loaded: Loaded) -> None:
        with loaded.programs["back"].attach("outside"):
            with pytest.raises(WrongState) as error:
                loaded.programs["count"].attach("inside")
            assert str(error.value) == (
                "<object>: a program of the object is attached already\n  hint: detach that one first"
            )
        loaded.programs["count"].attach("inside").detach()

    with load() as loaded:
        run_inside(topology.box, lambda: attach_twice(loaded))


def test_closing_the_object_detaches(topology: Topology) -> None:
    loaded = load()
    link = run_inside(topology.box, lambda: loaded.programs["back"].attach("outside", "inside"))
    run_inside(topology.box, loaded.close)
    assert not link.attached
    with topology.outside.packet_socket() as wire:
        wire.send(FRAMES[0])
        assert wire.drain() == []
    with pytest.raises(WrongState, match="the object is closed"):
        loaded.programs["back"].attach("outside")


def test_a_filter_that_others_put_in_front_is_overtaken_and_told(
    topology: Topology, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = ["tc", "filter", "add", "dev", "outside", "ingress", "prio", "1", "protocol", "all", "bpf", "da"]
    with load() as loaded:
        link = run_inside(topology.box, lambda: loaded.programs["count"].attach("outside", "inside"))
        assert link.isolation() == {"outside": IsolationState(), "inside": IsolationState()}
        topology.box.run([*theirs, "bytecode", "1,6 0 0 0"])
        for _ in range(200):
            if link.isolation()["outside"].closed_again:
                break
            time.sleep(0.02)
        assert link.isolation() == {"outside": IsolationState(True, closed_again=1), "inside": IsolationState()}
        run_inside(topology.box, link.detach)
        assert not [thread for thread in threading.enumerate() if thread.name == "isolation"]
    (told,) = [record.getMessage() for record in caplog.records if record.name == "appliance.api"]
    assert told.startswith("outside: the host was not shut out any more, and is again: a filter of somebody else (bpf")


def test_an_interface_that_is_only_listened_to_is_not_watched(topology: Topology) -> None:
    with load() as loaded, run_inside(topology.box, lambda: loaded.programs["count"].attach("outside")) as link:
        assert link.isolation() == {}


def test_what_cannot_be_attached_to_leaves_everything_as_it_was(topology: Topology) -> None:
    def attempt(loaded: Loaded) -> None:
        with pytest.raises(InterfaceError):
            loaded.programs["back"].attach("outside", "elsewhere")
        with pytest.raises(NoSuchName, match="there is no loaded program 'forth'"):
            loaded.programs["back"].attach("outside", "inside", outward="forth")
        loaded.programs["back"].attach("outside", "inside").detach()

    with load() as loaded:
        run_inside(topology.box, lambda: attempt(loaded))
        assert len(loaded.maps["seen"]) == 0


def test_maps_are_exchanged_while_frames_come(topology: Topology) -> None:
    """What was taken out lives until the worker has passed a quiescent state, and then no longer."""
    source, tenant = bytes([192, 0, 2, 66]), bytes(4)
    frame = MACS + b"\x08\x00\x45" + bytes(11) + source + bytes(26)
    with (
        open_object(PROGRAMS / "xdp_tenants.bpf.o").load() as loaded,
        run_inside(topology.box, lambda: loaded.programs["xdp_tenants"].attach("outside")) as link,
        topology.outside.packet_socket() as wire,
    ):
        tenants = loaded.maps["tenants"]
        assert isinstance(tenants, MapOfMaps)
        lists = []
        for count in range(1, 6):
            with open_map(tenants.inner) as blocked:
                blocked.update(source, bytes(8))
                tenants[tenant] = blocked
            lists.append(blocked)
            wire.send(frame)
            settled(link, "outside", count)
            assert blocked.lookup(source) == (1).to_bytes(8, "little")
        synchronize()
        assert [blocked.closed for blocked in lists] == [True] * 4 + [False]
        wire.send(frame)
        settled(link, "outside", 6)
        assert lists[-1].lookup(source) == (2).to_bytes(8, "little")
        assert link.statistics()["outside"].verdicts[Verdict.DROP].packets == 6
    assert lists[-1].closed
