"""A datapath whose code runs in processes of its own, one for each generation."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.datapath.datapath import Datapath
from appliance.datapath.hosts.channel import HostFailed
from appliance.datapath.hosts.order import Check, LinkImage, LinkOrder, write_order
from appliance.datapath.hosts.process import ProcessCode, start_code
from appliance.datapath.hosts.zygote import Zygote
from appliance.datapath.wiring import Passage
from appliance.datapath.worker import Run
from appliance.epochs import default_domain
from appliance.errors import CannotRun
from appliance.ir import Engine
from appliance.memory import Arena, Plain
from hooks.interfaces.netdev import find_interface
from tests.appliance.datapath.conftest import obedient_engine
from tests.appliance.datapath.test_forwarding import DROP, PASS, frame
from tests.netns import Topology, run_inside

REFUSED = b"not this one"


def check_by(refused: bytes) -> Check:
    def check(payload: bytes) -> list[LinkImage]:
        if payload == refused:
            raise CannotRun("nobody has approved of it", hint="approve it")
        return [LinkImage(payload, ("batch",), ())]

    return check


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    arena = Arena(1 << 34)
    default_domain.announce_at(arena.take(Plain(8)).address)
    made = Zygote(arena, check_by)
    made.begin(REFUSED)
    yield made
    made.close()


def order_of(engine: Engine) -> LinkOrder:
    return LinkOrder(engine.code.image, {})


@pytest.fixture
def code(zygote: Zygote, engine: Engine) -> Iterator[ProcessCode]:
    started = start_code(zygote, order_of(engine))
    yield started
    started.close()
    default_domain.synchronize()


@contextmanager
def apart(net: Topology, code: ProcessCode, zygote: Zygote, workers: int = 1) -> Iterator[Datapath]:
    outside, inside = run_inside(net.box, lambda: [find_interface(name) for name in ("outside", "inside")])
    passage = Passage(outside, inside)
    run = Run.of(code)
    with run_inside(net.box, lambda: Datapath([passage], run, workers=workers, reserve=zygote.arena)) as datapath:
        yield datapath


def test_frames_cross_in_both_ways_and_are_counted_here(zygote: Zygote, code: ProcessCode) -> None:
    with Topology() as net, apart(net, code, zygote) as datapath:
        assert code.host.pid != os.getpid()
        with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
            near.send(frame(PASS, number=1), frame(DROP, number=2), frame(PASS, number=3))
            assert far.receive(2) == [frame(PASS, number=1), frame(PASS, number=3)]
            far.send(frame(PASS, number=4))
            assert near.receive(1) == [frame(PASS, number=4)]
        assert datapath.statistics()["outside"].received.packets == 3
        (progress,) = datapath.progress()
        assert (progress.frames, progress.alive) == (4, True)


def test_a_swap_to_another_process_loses_and_reorders_nothing(
    zygote: Zygote, code: ProcessCode, engine: Engine
) -> None:
    with Topology() as net, apart(net, code, zygote) as datapath:
        with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
            sent: list[bytes] = []
            for round_ in range(10):
                with_code = start_code(zygote, order_of(engine))
                for number in range(20):
                    sent.append(frame(PASS, number=(20 * round_ + number) % 256))
                    near.send(sent[-1])
                    if number == 10:
                        datapath.swap(Run.of(with_code))
                        with_code.close()
            assert far.receive(len(sent)) == sent
        default_domain.synchronize()
        assert default_domain.statistics().retired == 0


def test_the_old_process_ends_behind_a_swap(zygote: Zygote, engine: Engine) -> None:
    with Topology() as net:
        first, second = (start_code(zygote, order_of(engine)) for _ in range(2))
        with apart(net, first, zygote) as datapath:
            pid = first.host.pid
            datapath.swap(Run.of(second))
            first.close()
            default_domain.synchronize()
            assert ends(pid)
            with pytest.raises(RuntimeError, match="closed"):
                first.address("batch")
        second.close()
        default_domain.synchronize()


def test_code_of_this_process_and_back(zygote: Zygote, code: ProcessCode) -> None:
    with (
        Topology() as net,
        apart(net, code, zygote) as datapath,
        obedient_engine() as other,
        net.outside.packet_socket() as near,
        net.inside.packet_socket() as far,
    ):
        for number, run in enumerate((Run.of(other), Run.of(code))):
            datapath.swap(run)
            near.send(frame(PASS, number=number))
            assert far.receive(1) == [frame(PASS, number=number)]


def test_what_is_refused_leaves_no_process(zygote: Zygote, engine: Engine) -> None:
    with pytest.raises(HostFailed, match="nobody has approved of it") as refused:
        start_code(zygote, LinkOrder(REFUSED, {}))
    assert refused.value.kind == "CannotRun"


def test_code_can_be_linked_once(zygote: Zygote, code: ProcessCode, engine: Engine) -> None:
    with pytest.raises(HostFailed, match="none can be added"):
        code.host.asker.ask("link", [write_order(order_of(engine))])


def test_a_process_that_is_killed_is_seen(zygote: Zygote, engine: Engine) -> None:
    killed = start_code(zygote, order_of(engine))
    with Topology() as net, apart(net, killed, zygote) as datapath:
        os.kill(killed.host.pid, signal.SIGKILL)
        assert ends(killed.host.pid)
        (progress,) = datapath.progress()
        assert not progress.alive
        default_domain.synchronize(0.5)
        after = start_code(zygote, order_of(engine))
        datapath.swap(Run.of(after))
        with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
            near.send(frame(PASS))
            assert far.receive(1) == [frame(PASS)]
    for each in (killed, after):
        each.close()
    default_domain.synchronize()


def test_an_interface_that_goes_and_comes_is_served_by_the_same_process(zygote: Zygote, code: ProcessCode) -> None:
    with Topology() as net, apart(net, code, zygote) as datapath:
        outside, inside = run_inside(net.box, lambda: [find_interface(name) for name in ("outside", "inside")])
        run_inside(net.box, lambda: datapath.rewire([]))
        run_inside(net.box, lambda: datapath.rewire([Passage(outside, inside)]))
        with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
            near.send(frame(PASS))
            assert far.receive(1) == [frame(PASS)]


def ends(pid: int) -> bool:
    """Whether it ends soon; the zygote reaps it."""
    for _ in range(500):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.01)
    return False
