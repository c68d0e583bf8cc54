"""Accepted programs of the corpus keep their promise in a world that wants them to fail; bad ones don't."""

from __future__ import annotations

import random

import pytest

from appliance.verifier import Rejected
from tests.corpus.corpus import NAMES, loaded, object_of, verify
from tests.corpus.hostile import faults

RUNS = 40


@pytest.mark.parametrize("name", NAMES)
def test_an_accepted_program_runs_without_a_fault(name: str) -> None:
    try:
        verified = verify(object_of(name, "good"))
    except Rejected:
        return  # docs/verifier-disagreements.md has it
    assert list(faults(verified.spec, verified.maps, random.Random(name), RUNS)) == []


def test_the_world_is_hostile_enough() -> None:
    """Most bad programs do fail in it, or the others would prove nothing."""
    failing = 0
    for name in NAMES:
        collection = loaded(object_of(name, "bad"))
        (program,) = collection.programs.values()
        failing += any(faults(program, collection.maps, random.Random(name), 8 * RUNS))
    assert failing > len(NAMES) * 3 // 4
