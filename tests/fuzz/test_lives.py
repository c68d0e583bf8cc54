"""Lives end well; and where nobody waits for readers, they end soon."""

from __future__ import annotations

import signal

import pytest

from tests.fuzz.fuzz_lives import what_happens


@pytest.mark.parametrize("seed", range(4))
def test_a_life_ends_well(seed: int) -> None:
    assert what_happens(seed, "--poison") is None


def test_who_frees_without_waiting_is_found() -> None:
    """Each of three lives may go well by chance; all of them do not."""
    ends = [what_happens(seed, "--poison", "--careless") for seed in range(3)]
    assert any(end is not None and end.startswith(f"exit status {-signal.SIGSEGV}") for end in ends), ends
