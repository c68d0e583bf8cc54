"""The same verdicts whatever clang makes of the sources: whatever the level and the instruction set."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.capabilities import requires
from tests.corpus.building import build
from tests.corpus.corpus import NAMES, object_of, verdict
from tests.corpus.disagreements import disagreements, unproved

# Each level and each instruction set once; all nine pairs of them are in `make fuzz`.
VARIANTS = [("-O1", "v1"), ("-O2", "v2"), ("-O3", "v3")]


def check_variant(folder: Path, level: str, cpu: str) -> None:
    """Every verdict is what it should be, for the objects of that folder."""
    verdicts = {
        (name, side): verdict(object_of(name, side, folder)) for name, side in itertools.product(NAMES, ("good", "bad"))
    }
    gaps = {name for (name, side), row in disagreements().items() if side == "good" and row.ours == "rejected"}
    rejected = {name for (name, side), report in verdicts.items() if side == "good" and report is not None}
    assert rejected == gaps | unproved(level, cpu)
    assert [name for (name, side), report in verdicts.items() if side == "bad" and report is None] == []


@requires("clang", "bpftool")
@pytest.mark.parametrize(("level", "cpu"), VARIANTS)
def test_verdicts(level: str, cpu: str, tmp_path: Path) -> None:
    check_variant(build(tmp_path, level, cpu), level, cpu)
