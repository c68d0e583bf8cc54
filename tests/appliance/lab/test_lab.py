"""The lab with a bridge in the place of the box: everything arrives, everything is counted, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from appliance.lab.attacks.mix import USUAL_MIX
from appliance.lab.errors import LabFailed
from appliance.lab.lab import run_lab
from appliance.lab.network import PREFIX, LabNetwork
from appliance.lab.peers import BridgeBox
from appliance.lab.report import LabReport
from appliance.lab.worker import Worker
from hooks.interfaces.netns import NAMES

pytestmark = pytest.mark.netns
RATE = 4000.0


class BrokenBox(BridgeBox):
    """A box that ends as soon as it is looked at."""

    def check(self) -> None:
        raise LabFailed("the box ended with status 1")


def namespaces_of(pid: int) -> list[str]:
    return [entry.name for entry in NAMES.iterdir() if entry.name.startswith(f"{PREFIX}{pid}-")]


def test_through_a_bridge_everything_arrives() -> None:
    ticks: list[LabReport] = []
    report = run_lab(None, 2.5, ticks.append, box=BridgeBox(), attack_rate=RATE)
    assert len(ticks) == 3
    assert all(tick.attack.received <= tick.attack.sent and tick.good.received <= tick.good.sent for tick in ticks)
    assert set(report.good_by_kind) == {"http4", "dns4", "ping4", "http6", "dns6", "ping6"}
    assert all(traffic.sent >= 5 and traffic.received == traffic.sent for traffic in report.good_by_kind.values())
    assert list(report.attack_by_kind) == list(USUAL_MIX)
    for traffic in report.attack_by_kind.values():
        assert traffic.sent > 0
        assert traffic.sent * 0.98 <= traffic.received <= traffic.sent
    assert report.attack.sent <= 2.6 * RATE
    assert namespaces_of(os.getpid()) == []


def test_the_report_as_json() -> None:
    report = run_lab(None, 0.3, box=BridgeBox(), attack_rate=100.0)
    document = report.as_json()
    assert list(document) == ["seconds", "good", "attack", "box", "unanswered", "rules"]
    assert document["good"] == {"sent": report.good.sent, "received": report.good.received}
    assert document["attack"] == {"sent": report.attack.sent, "received": report.attack.received}
    assert document["box"] == {"received": 0, "passed": 0, "dropped": 0, "capture_dropped": 0}
    assert json.loads(json.dumps(document)) == document


def test_a_part_that_dies_fails_the_lab(capfd: pytest.CaptureFixture[str]) -> None:
    with LabNetwork() as network:
        with Worker(network.clients, "clients", {"nonsense": 1}) as worker, pytest.raises(LabFailed) as raised:
            worker.wait_ready()
        assert raised.value.what == "the lab's clients did not start"
        with Worker(network.server, "server", {}) as worker:
            worker.wait_ready()
            worker.go()
            assert worker.count() == {}
            for pid in network.server.processes():
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(LabFailed, match="the lab's server ended early"):
                worker.count()
    assert "KeyError: 'paces'" in capfd.readouterr().err


def test_a_box_that_fails_fails_the_lab_and_nothing_is_left() -> None:
    with pytest.raises(LabFailed, match="the box ended with status 1"):
        run_lab(None, 1.0, box=BrokenBox())
    assert namespaces_of(os.getpid()) == []


# A child inherits what its parent blocks and ignores, and whoever runs the tests may do either: start afresh.
LAB_IN_A_CHILD = textwrap.dedent("""
    import signal
    import sys
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
    sys.path.insert(0, sys.argv[1])
    from appliance.lab.lab import run_lab
    from appliance.lab.peers import BridgeBox
    run_lab(None, 60.0, lambda _: print("tick", flush=True), box=BridgeBox(), attack_rate=100.0)
""")


def start_lab() -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[3])
    child = subprocess.Popen([sys.executable, "-c", LAB_IN_A_CHILD, root], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "tick\n"
    return child


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        (signal.SIGINT, -signal.SIGINT),
    ],
)
def test_a_signal_ends_it_and_leaves_nothing(number: int, status: int) -> None:
    with start_lab() as child:
        assert len(namespaces_of(child.pid)) == 5
        child.send_signal(number)
        assert child.wait(30) == status  # before its standard output is closed, which would end it too
    assert namespaces_of(child.pid) == []


def test_a_killed_lab_is_cleared_away_by_the_next_one() -> None:
    with start_lab() as child:
        workers = [int(text) for text in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()]
        child.kill()
    assert len(namespaces_of(child.pid)) == 5
    with LabNetwork():
        assert namespaces_of(child.pid) == []
    assert len(workers) == 3
    end = time.monotonic() + 5
    while any(_runs(pid) for pid in workers) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(_runs(pid) for pid in workers)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
