"""Lives end well; and where nobody waits for readers, they end soon."""

from __future__ import annotations

import signal

import pytest

from tests.fuzz import fuzz_lives
from tests.fuzz.fuzz_lives import what_happens
from tests.netns import Topology

KILLED = f"exit status {-signal.SIGSEGV}"


@pytest.mark.parametrize("seed", range(4))
def test_a_life_ends_well(seed: int) -> None:
    assert what_happens(seed, "--poison") is None


@pytest.mark.parametrize("seed", range(3))
def test_a_life_with_workers_ends_well(topology: Topology, seed: int) -> None:
    """The network is one of its own; the fixture is here to skip where there can be none."""
    assert what_happens(seed, "--poison", "--attached") is None


def test_who_frees_without_waiting_is_found() -> None:
    """Each of three lives may go well by chance; all of them do not."""
    ends = [what_happens(seed, "--poison", "--careless") for seed in range(3)]
    assert any(end is not None and end.startswith(KILLED) for end in ends), ends


def test_who_waits_for_test_runs_only_is_found(topology: Topology) -> None:
    """As `settle` once did, which knew one worker, and not those of other objects."""
    ends = (what_happens(seed, "--poison", "--attached", "--selfish") for seed in range(10))
    assert any(end is not None and end.startswith(KILLED) for end in ends)


def test_a_find_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(fuzz_lives, "may_attach", lambda: True)
    monkeypatch.setattr(fuzz_lives, "what_happens", lambda seed, *options: "it ends badly" if seed == 7 else None)
    assert fuzz_lives.main(0, 6, 3) == 1
    told = "seed 7: it ends badly; python -m tests.fuzz.lives 7 --poison --attached\nlives: 3, 1 finds\n"
    assert capsys.readouterr().out == told
