"""No signal that tools send leaves a box's interfaces closed: it is ignored, or it ends the box in order."""

from __future__ import annotations

import ctypes
import signal
from pathlib import Path
from signal import Signals

import pytest

from appliance.box import signals
from tests.appliance.box.conftest import DROP_NINE, HEAD, RunningBox, Start, after
from tests.appliance.box.wire import arrivals, interface_settings, udp
from tests.netns import Topology

SENT_BY_HABIT = (
    Signals.SIGUSR1,
    Signals.SIGUSR2,
    Signals.SIGALRM,
    Signals.SIGVTALRM,
    Signals.SIGPROF,
    Signals.SIGIO,
    Signals.SIGTSTP,
)


def test_every_signal_has_one_meaning() -> None:
    groups = (signals.ENDING, signals.IGNORED, signals.LEFT_ALONE, {signals.RELOAD})
    assert sum(map(len, groups)) == len(frozenset().union(*groups))
    assert frozenset().union(*groups) == signal.valid_signals()


def test_what_tools_send_by_habit_disturbs_nothing_and_is_mentioned_once(net: Topology, start: Start) -> None:
    before = interface_settings(net)
    box = start(DROP_NINE)
    for number in (*SENT_BY_HABIT, signal.SIGRTMIN + 3):
        box.process.send_signal(number)
    box.process.send_signal(Signals.SIGPIPE)
    for name in (*(number.name for number in SENT_BY_HABIT), "SIGRTMIN+3"):
        box.wait_for(f"{name} means nothing to a box and is ignored")
    box.process.send_signal(Signals.SIGUSR1)
    box.reload(DROP_NINE, "reloaded")
    assert box.log.count("SIGUSR1") == 1
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.end() == 0
    assert interface_settings(net) == before


@pytest.mark.parametrize("number", sorted(signals.ENDING), ids=lambda number: number.name)
def test_what_asks_for_the_end_puts_the_interfaces_back(net: Topology, start: Start, number: Signals) -> None:
    before = interface_settings(net)
    box = start(DROP_NINE)
    assert interface_settings(net) != before
    box.process.send_signal(number)
    assert box.process.wait(20) == 0, box.log
    assert interface_settings(net) == before


OPEN_THREAD = """
import signal, threading, time
from appliance.box.processes.processes import Processes
real = Processes.__init__
def sleep():
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    time.sleep(600)
def start(self, *arguments):
    real(self, *arguments)
    threading.Thread(target=sleep, daemon=True).start()
Processes.__init__ = start
"""


def test_a_thread_that_takes_signals_passes_them_on(net: Topology, start: Start) -> None:
    """A library's, say: it has none of them blocked, and the kernel sends it what comes while the main one is busy."""
    before = interface_settings(net)
    box = start(DROP_NINE, program=after(OPEN_THREAD))
    pid = box.process.pid
    older = min(int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if int(task.name) != pid)
    libc = ctypes.CDLL(None)
    for number, answer in ((Signals.SIGHUP, "reloaded"), (Signals.SIGUSR1, "SIGUSR1 means nothing to a box")):
        assert libc.tgkill(pid, older, number) == 0
        box.wait_for(answer)
    assert libc.tgkill(pid, older, Signals.SIGTERM) == 0
    assert box.process.wait(20) == 0, box.log
    assert interface_settings(net) == before


def compiling(box: RunningBox) -> bool:
    """Whether its main thread takes signals in: it has begun, and does not serve yet. Blocked alone would not do: they
    are so for a moment whenever a library begins a thread."""
    status = Path(f"/proc/{box.process.pid}/status").read_text()
    masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))
    return all(int(masks[name], 16) >> Signals.SIGHUP - 1 & 1 for name in ("SigBlk", "SigCgt"))


@pytest.mark.parametrize(
    ("number", "until"),
    [
        pytest.param(Signals.SIGHUP, "reloaded", id="SIGHUP reloads as soon as it serves"),
        pytest.param(Signals.SIGQUIT, None, id="SIGQUIT ends it"),
    ],
)
def test_a_signal_before_it_serves(net: Topology, start: Start, number: Signals, until: str | None) -> None:
    before = interface_settings(net)
    box = start(DROP_NINE, head=HEAD, until="")
    while not compiling(box):
        assert box.process.poll() is None, box.log
    box.process.send_signal(number)
    if until:
        box.wait_for(until)
    assert (box.end() if until else box.process.wait(20)) == 0
    assert interface_settings(net) == before


def test_every_thread_beside_the_main_one_has_the_signals_blocked(start: Start) -> None:
    """One that hasn't would be given what the main thread, busy with a reload, does not take in: and end the process.
    The main one waits for them, and has them unblocked for that time."""
    box = start(DROP_NINE)
    wanted = sum(1 << (number - 1) for number in signals.TAKEN_IN)
    for task in Path(f"/proc/{box.process.pid}/task").iterdir():
        if int(task.name) == box.process.pid:
            continue
        fields = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        blocked = int(fields["SigBlk"], 16)
        assert blocked & wanted == wanted, f"thread {task.name} ({fields['Name'].strip()})"
