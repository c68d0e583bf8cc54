"""The tables of docs/rules.md are those of the language."""

from __future__ import annotations

from docs import build_rules


def test_the_committed_reference_is_what_the_tables_make() -> None:
    before = build_rules.TARGET.read_text(encoding="utf-8")
    assert before == build_rules.text(before), "run `python -m docs.build_rules`"


def test_a_table_that_changed_shows() -> None:
    before = build_rules.TARGET.read_text(encoding="utf-8").replace("| `tcp.window` |", "| `tcp.widow` |")
    assert before != build_rules.text(before)
