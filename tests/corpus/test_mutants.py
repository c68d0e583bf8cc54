"""A good program without one of its checks is rejected, or does not need it."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.corpus.corpus import NAMES
from tests.corpus.disagreements import TABLE
from tests.corpus.linux_says import EXPLAINED
from tests.corpus.mutants import mutants
from tests.corpus.verifying import judge, programs_of

MOST = 12  # of one program here; `make fuzz` takes all


@pytest.mark.parametrize("name", NAMES)
def test_what_is_accepted_is_harmless(name: str) -> None:
    made = list(mutants(programs_of(name)[0]))
    chosen = random.Random(name).sample(made, min(MOST, len(made)))
    count: Counter[str] = Counter()
    assert list(judge(name, chosen, 4, count)) == []
    assert count["mutants"] == len(chosen)


def test_what_linux_says_of_mutants_is_explained_to_readers() -> None:
    for words, reason in EXPLAINED.items():
        assert f"| `{words}` | {reason} |" in TABLE.read_text()
