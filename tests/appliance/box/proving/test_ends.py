"""Provers that burn, swell, crash, leave or lie: what is told of them, and the zygote goes on."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.box.proving.channel import Left
from appliance.box.proving.errors import ProverAnsweredNonsense, ProverDied, ProverTimedOut, ProverTooLarge
from appliance.box.proving.prover import Limits, Prover
from appliance.errors import CannotRun, InputRefused
from tests.appliance.box.proving import rogues
from tests.appliance.box.proving.conftest import rogue
from tests.appliance.box.proving.requests import of_program

REQUEST = of_program("xdp_pass")


@pytest.mark.parametrize("work", ["burns", "waits", "closes"])
def test_one_that_does_not_end_is_ended(work: str) -> None:
    with rogue(work) as prover, pytest.raises(ProverTimedOut) as timed_out:
        prover.build(REQUEST, timeout=0.3)
    assert timed_out.value.seconds == 0.3
    assert isinstance(timed_out.value, InputRefused)


def test_the_kernel_counts_its_time_too() -> None:
    """Should the asker have gone to sleep."""
    with rogue("burns", Limits(seconds=1)) as prover, pytest.raises(ProverTimedOut):
        prover.build(REQUEST, timeout=60)


@pytest.mark.parametrize("work", ["swells", "swells_in_llvm"])
def test_one_that_wants_too_much_memory_is_too_large(work: str) -> None:
    words = r"xdp_pass.o: proof and code weren't made in 512 MiB of memory"
    with rogue(work, Limits(memory=512 << 20)) as prover, pytest.raises(ProverTooLarge, match=words):
        prover.build(REQUEST)


def test_one_that_crashes() -> None:
    with rogue("crashes") as prover, pytest.raises(ProverDied, match="was ended by SIGSEGV") as died:
        prover.build(REQUEST)
    assert died.value.signal == signal.SIGSEGV
    assert died.value.exit_status == CannotRun.exit_status


def test_one_with_a_defect_tells_its_last_words_without_control_characters() -> None:
    with rogue("raises") as prover, pytest.raises(ProverDied) as died:
        prover.build(REQUEST)
    assert (died.value.signal, died.value.words) == (None, "RecursionError: a deep nest[31m")


def test_one_that_leaves_without_a_word() -> None:
    with rogue("leaves") as prover, pytest.raises(ProverDied, match="the prover ended before it answered"):
        prover.build(REQUEST)


@pytest.fixture(scope="module")
def liar() -> Iterator[Prover]:
    with rogue("lies") as prover:
        yield prover


@pytest.mark.parametrize("number", range(len(rogues.LIES)), ids=list(rogues.LIES))
def test_one_that_lies_in_form_is_found_out(liar: Prover, number: int) -> None:
    with pytest.raises(ProverAnsweredNonsense) as nonsense:
        liar.build(replace(REQUEST, workers=number))
    assert list(rogues.LIES)[number] in nonsense.value.reason


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        ("announces_too_much", "a body of 4294967295 bytes, where at most 67108864 may be"),
        ("says_nothing_of_ours", "a message that begins with b'HTTP'"),
    ],
)
def test_one_that_speaks_of_something_else(work: str, reason: str) -> None:
    with rogue(work) as prover, pytest.raises(ProverAnsweredNonsense, match=reason):
        prover.build(REQUEST)


def descriptors(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_nothing_of_a_build_stays_open(prover: Prover) -> None:
    prover.build(REQUEST)
    gc.collect()
    ours, zygotes = Path("/proc/self/fd"), Path(f"/proc/{prover.process_id}/fd")
    before = descriptors(ours)
    for _ in range(3):
        prover.build(REQUEST)
    assert descriptors(ours) == before
    wait_until(lambda: len(descriptors(zygotes)) == 4)  # standard streams, and the asker


def test_a_zygote_ends_with_its_asker_and_a_prover_with_its_zygote() -> None:
    prover = rogue("waits")
    prover.ready()
    zygote = prover.process_id
    prover.close()
    prover.close()
    assert not Path(f"/proc/{zygote}").exists()
    with pytest.raises(CannotRun):
        prover.build(REQUEST)


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]


def test_a_zygote_that_is_gone_is_started_anew() -> None:
    with Prover() as prover:
        prover.ready()
        gone = prover.process_id
        os.kill(gone, signal.SIGKILL)
        wait_until(lambda: _state(gone) == "Z")
        assert prover.build(REQUEST).programs
        assert prover.process_id != gone


def test_a_zygote_that_goes_while_it_is_needed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with rogue("waits") as prover:
        prover.ready()

        def killing(*arguments: object) -> int:
            os.kill(prover.process_id, signal.SIGKILL)
            raise Left

        monkeypatch.setattr("appliance.box.proving.prover.await_begun", killing)
        with pytest.raises(ProverDied, match="the zygote is gone"):
            prover.build(REQUEST)


def test_the_zygote_kills_for_an_asker_that_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(signal, "pidfd_send_signal", refused)
    with rogue("waits") as prover:
        with pytest.raises(ProverTimedOut):
            prover.build(REQUEST, timeout=0.3)
        children = Path(f"/proc/{prover.process_id}/task/{prover.process_id}/children")
        wait_until(lambda: not children.read_text())


def test_work_that_is_not_there() -> None:
    with rogue("nothing_of_the_kind") as prover, pytest.raises(CannotRun, match="did not start"):
        prover.build(REQUEST)
