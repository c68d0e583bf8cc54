"""Threads that run first, and what that is given to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from hooks import scheduling

_Result = TypeVar("_Result")
ASK = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]


GROUPED = Path("/proc/self/autogroup").exists()


def niceness(process: int) -> str | None:
    """Of its session, where the kernel groups them."""
    return Path(f"/proc/{process}/autogroup").read_text().split()[-1] if GROUPED else None


def in_a_thread(does: Callable[[], _Result]) -> _Result:
    found: list[_Result] = []
    thread = threading.Thread(target=lambda: found.append(does()))
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_runs_first_and_nobody_else_does() -> None:
    def first() -> tuple[bool, int, int, str]:
        done = scheduling.run_first()
        inherited = subprocess.run(ASK, capture_output=True, text=True, check=True).stdout
        return done, os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.sched_getparam(0).sched_priority, inherited

    assert in_a_thread(first) == (True, os.SCHED_RR, 1, f"{os.SCHED_OTHER}\n")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_who_may_not_goes_on_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr("os.sched_setscheduler", refuse)
    assert in_a_thread(scheduling.run_first) is False


def test_the_last_processor_is_everybody_elses() -> None:
    count = len(os.sched_getaffinity(0))
    assert [scheduling.leaves_a_processor(threads) for threads in (0, count - 1, count, count + 1)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_session_is_favoured_and_the_next_one_is_not() -> None:
    sleep = ["sleep", "60"]
    with (
        subprocess.Popen(sleep, start_new_session=True) as favoured,
        subprocess.Popen(sleep, start_new_session=True) as other,
    ):
        scheduling.favour_session(favoured.pid)
        words = [niceness(each.pid) for each in (favoured, other)]
        favoured.kill()
        other.kill()
    assert words == (["-20", "0"] if GROUPED else [None, None])


def test_a_process_that_is_gone_is_no_error() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    scheduling.favour_session(gone.pid)
