"""What becomes of a box when one of its processes ends by itself."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.appliance.box.conftest import DROP_NINE, RunningBox, Start, wait_until
from tests.appliance.box.wire import arrivals, interface_settings, udp
from tests.family import family, member
from tests.netns import Topology


def process_of(box: RunningBox, name: str) -> int:
    return member(box.process.pid, name)


def test_a_datapath_that_is_killed_ends_the_box_with_its_interfaces_as_before(net: Topology, start: Start) -> None:
    before = interface_settings(net)
    box = start(DROP_NINE)
    os.kill(process_of(box, "tg-datapath"), signal.SIGKILL)
    box.wait_for("worker 0 has died")
    assert box.process.wait(30) == 2, box.log
    assert interface_settings(net) == before


def test_a_box_that_is_killed_leaves_its_interfaces_as_before(net: Topology, start: Start) -> None:
    """And no process: not the one that judges frames, and not the one that had to put the interfaces back."""
    before = interface_settings(net)
    box = start(DROP_NINE)
    others = [pid for pid in family(box.process.pid) if pid != box.process.pid]
    box.process.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in others), 30)
    assert interface_settings(net) == before


def test_an_opener_that_is_killed_ends_the_box(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    os.kill(process_of(box, "tg-opener"), signal.SIGKILL)
    box.wait_for("the opener has ended")
    assert box.process.wait(30) == 2, box.log


def test_a_keeper_that_is_killed_costs_reloads_alone(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    os.kill(process_of(box, "tg-keeper"), signal.SIGKILL)
    box.reload(DROP_NINE.replace("nine", "other"), "reload refused, the running rules stay")
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.end() == 0
