"""The rule sets that are shipped can be read and compiled as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.rules import compile_rule_set, load_rule_set

RULE_SETS = sorted((Path(__file__).parents[2] / "configs" / "rulesets").rglob("*.yaml"))


@pytest.mark.parametrize("path", RULE_SETS, ids=lambda path: path.stem)
def test_they_compile(path: Path) -> None:
    rules = load_rule_set(path)
    assert [rule.id for rule in compile_rule_set(rules).rules] == [rule.id for rule in rules.rules]


def test_the_blocklist_is_live_and_empty_until_somebody_fetches_one() -> None:
    blocklists = load_rule_set(next(path for path in RULE_SETS if path.stem == "blocklists"))
    blocklist = blocklists.sets["blocklist"]
    assert [blocklist.contents.count(part) for part in blocklist.type.parts] == [0, 0]
