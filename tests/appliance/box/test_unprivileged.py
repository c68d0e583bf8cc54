"""A box that has given up every privilege, and whose opener has what it needs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from appliance.box.config import PassageConfig
from appliance.box.traffic import Traffic
from appliance.datapath.worker import Run
from hooks.opener.start import start_opener
from hooks.sandbox.capabilities import NOBODY, Privileges, drop_privileges
from tests.appliance.box.wire import arrivals, interface_settings, udp
from tests.appliance.datapath.conftest import obedient_engine
from tests.netns import Topology

pytestmark = pytest.mark.netns
SECONDS = 60.0


@pytest.fixture
def net() -> Iterator[Topology]:
    with Topology() as made, made.box.entered():
        yield made


def await_that(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def serving(state_directory: Path) -> Iterator[tuple[int, Path]]:
    """The process of a box without privilege, and the file of what it says."""
    said = state_directory / "said"
    said.touch(mode=0o666)
    box = os.fork()
    if not box:
        try:
            _serve(state_directory / "records", said)
        finally:
            os._exit(1)
    try:
        await_that(lambda: "serving" in said.read_text())
        yield box, said
    finally:
        with suppress(ProcessLookupError):
            os.kill(box, signal.SIGKILL)
        os.waitpid(box, 0)


def _serve(records: Path, said: Path) -> None:
    with said.open("a", buffering=1) as log:
        opener = start_opener(("outside", "inside"), ("outside", "inside"), workers=2, state_directory=records)
        run = Run.of(obedient_engine())
        drop_privileges(account=NOBODY)
        passage = PassageConfig("outside", "inside")
        with Traffic([passage], run, workers=2, log=lambda text: print(text, file=log), opener=opener) as traffic:
            while True:
                traffic.watch()
                time.sleep(0.05)


def test_it_serves_and_its_interfaces_are_back_when_it_is_killed(net: Topology, tmp_path: Path) -> None:
    before = interface_settings(net)
    with serving(tmp_path) as (box, _):
        assert interface_settings(net) != before
        for thread in Path(f"/proc/{box}/task").iterdir():
            has = Privileges.of(f"{box}/task/{thread.name}")
            assert has.problem(frozenset(), NOBODY) is None
        frames = [udp(1000 + number, source=f"10.0.0.{10 + number}") for number in range(20)]
        assert sorted(arrivals(net, *frames)) == sorted(frames)
        os.kill(box, signal.SIGKILL)
        await_that(lambda: interface_settings(net) == before)
        await_that(lambda: not list((tmp_path / "records").iterdir()))


def test_it_gives_up_and_takes_up_interfaces_that_go_and_come(net: Topology, tmp_path: Path) -> None:
    with serving(tmp_path) as (_, said):
        net.box.delete_link("outside")
        await_that(lambda: "outside <-> inside: an interface is gone; waiting for it" in said.read_text())
        net.outside.add_veth("eth0", net.box, "outside", address=net.outside.ethernet)
        await_that(lambda: said.read_text().count("outside <-> inside: serving") == 2)
        frame = udp(1000)
        assert arrivals(net, frame) == [frame]


def test_it_opens_longer_slots_when_mtus_grow(net: Topology, tmp_path: Path) -> None:
    with serving(tmp_path) as (_, said):
        for place, name in ((net.outside, "eth0"), (net.box, "outside"), (net.box, "inside"), (net.inside, "eth0")):
            place.set_link(name, mtu=9000)
        await_that(lambda: said.read_text().count("its MTU is 9000 bytes now, it was 1500") == 2)
        frame = udp(1000) + bytes(8000)
        await_that(lambda: arrivals(net, frame) == [frame])
