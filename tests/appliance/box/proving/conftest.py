"""A zygote for all tests of this folder, and others whose provers can't be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.proving.prover import Limits, Prover

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="session")
def prover() -> Iterator[Prover]:
    with Prover() as started:
        yield started


@pytest.fixture(autouse=True, scope="session")
def tests_in_zygotes() -> Iterator[None]:
    """Where zygotes find `rogues`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


def rogue(work: str, limits: Limits | None = None) -> Prover:
    """A prover that does one of `rogues` in the place of its work."""
    return Prover(limits or Limits(), work=f"tests.appliance.box.proving.rogues:{work}")
