"""Every kind of rejection has a page, and what the page says is what happens: here, and in Linux."""

from __future__ import annotations

import re
from difflib import ndiff
from pathlib import Path

import pytest

from appliance.verifier.reports.rejections import Rejection
from tests.capabilities import require
from tests.docs.rejection_pages import (
    BAD,
    FIXED,
    FOLDER,
    HEADINGS,
    INDEX,
    LINUX_SAYS,
    Page,
    ask_linux,
    index,
    judge,
    without_numbers,
)

LONGEST_CHANGE = 20  # lines that are taken out or added, together
every_kind = pytest.mark.parametrize("kind", list(Rejection), ids=lambda kind: kind.value)


def test_every_kind_has_a_page_and_every_page_a_kind() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {INDEX.name, *(f"{kind.value}.md" for kind in Rejection)}
    assert index() in INDEX.read_text(encoding="utf-8"), "`python -m tests.docs.rejection_pages` writes it"


@every_kind
def test_pages_have_one_form(kind: Rejection) -> None:
    page = Page.of(kind)
    assert page.headings == HEADINGS
    assert re.match(rf"# [^\n]+\n\nKind: `{kind.value}`\. \[Every kind of rejection\]\(README\.md\)\n\n", page.text)
    assert f"tidegate explain {kind.value}" in page.message
    changed = ndiff(*(page.source(part)[1].splitlines() for part in (BAD, FIXED)))
    assert 0 < sum(line.startswith(("- ", "+ ")) for line in changed) <= LONGEST_CHANGE


@every_kind
def test_the_bad_program_is_rejected_in_those_words_and_the_fixed_one_is_accepted(
    kind: Rejection, tmp_path: Path
) -> None:
    page = Page.of(kind)
    rejected = judge(page, BAD, tmp_path)
    assert rejected is not None
    assert rejected.report.kind is kind
    assert str(rejected) == page.message, "if that is better, run `python -m tests.docs.rejection_pages` and commit it"
    assert judge(page, FIXED, tmp_path) is None


@pytest.mark.parametrize("kind", [kind for kind in Rejection if Page.of(kind).source(BAD)[0] == "c"], ids=str)
def test_linux_says_what_the_page_says(kind: Rejection, tmp_path: Path) -> None:
    require("bpf")
    page = Page.of(kind)
    assert ask_linux(page, FIXED, tmp_path) is None
    said = ask_linux(page, BAD, tmp_path)
    if page.linux is None:
        assert said is None
        assert page.part(LINUX_SAYS).strip().startswith("Nothing: it accepts the program")
    else:
        assert said is not None
        assert without_numbers(said) == without_numbers(page.linux)
