"""Every good program of the corpus is accepted, every bad one is rejected in the words that are expected of it."""

from __future__ import annotations

import pytest

from tests.capabilities import require
from tests.corpus import kernel
from tests.corpus.corpus import NAMES, Rejection, object_of, rejections, verdict
from tests.corpus.disagreements import disagreements

SAID = rejections()
DISAGREEMENTS = disagreements()
SIDES = ("good", "bad")


def accepted(name: str, side: str) -> bool:
    return verdict(object_of(name, side)) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_good_one_is_accepted(name: str) -> None:
    row = DISAGREEMENTS.get((name, "good"))
    report = verdict(object_of(name, "good"))
    assert (report is None) == (row is None or row.ours == "accepted"), report


@pytest.mark.parametrize("name", NAMES)
def test_the_bad_one_is_rejected_for_what_is_bad(name: str) -> None:
    report = verdict(object_of(name, "bad"))
    assert report is not None
    assert Rejection.of(report) == SAID[name], "if that is better, run `python -m tests.corpus` and commit it"


def test_the_corpus_is_whole() -> None:
    assert set(SAID) == set(NAMES)
    assert 2 * len(NAMES) >= 150
    assert {name for name, _ in DISAGREEMENTS} <= set(NAMES)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", NAMES)
def test_linux_agrees_or_the_table_says_why_not(name: str, side: str) -> None:
    require("bpf")
    words = {True: "accepted", False: "rejected"}
    ours, linux = words[accepted(name, side)], words[kernel.accepts(object_of(name, side))]
    row = DISAGREEMENTS.get((name, side))
    if ours == linux:
        assert row is None, f"they agree, both {ours}: take the row out of docs/verifier-disagreements.md"
    else:
        assert row is not None, f"ours: {ours}, Linux: {linux}"
        assert (row.ours, row.linux) == (ours, linux)
