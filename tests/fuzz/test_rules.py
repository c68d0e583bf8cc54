"""Compiled rule sets agree with a plain walk: a bounded part of what `make fuzz` runs, always the same one."""

from __future__ import annotations

import random
import typing
from collections import Counter
from collections.abc import Iterator

import pytest

from appliance.rules.analysis import Analysis, Finding, FindingKind
from appliance.rules.conditions import Condition
from appliance.rules.matchers import MATCHERS, OUTER_MATCHERS
from appliance.rules.model import RuleSet
from appliance.rules.walk import Outcome, walk
from appliance.rules.walk.conditions import matchers_of
from tests.fuzz import fuzz_rules
from tests.fuzz.fuzz_rules import Dissections, disagreements, judged, random_capture


@pytest.fixture(scope="module")
def dissections() -> Iterator[Dissections]:
    with Dissections() as dissections:
        yield dissections


@pytest.mark.parametrize("engine", ["jit", "interpreter"])
@pytest.mark.parametrize("seed", range(8))
def test_the_program_does_what_the_walk_does(dissections: Dissections, seed: int, engine: str) -> None:
    frames = {"jit": 1000, "interpreter": 100}[engine]
    assert list(disagreements(seed, dissections, frames, engine)) == []


def test_a_disagreement_is_told(dissections: Dissections, monkeypatch: pytest.MonkeyPatch) -> None:
    holds = walk.holds
    monkeypatch.setattr(walk, "holds", lambda condition, frame, sets: not holds(condition, frame, sets))
    finds = [find for seed in range(2) for find in disagreements(seed, dissections, 100)]
    assert len(finds) >= 2
    assert all(find.startswith("seed ") and "RuleSet(file='random.yaml'" in find for find in finds)


def test_an_unfounded_warning_is_told(dissections: Dissections, monkeypatch: pytest.MonkeyPatch) -> None:
    def all_of_them(rules: RuleSet, *, most_seconds: float) -> Analysis:
        found = tuple(Finding(FindingKind.SHADOWED, rule, (), "so it is") for rule in rules.rules)
        return Analysis(found, len(found), len(found))

    monkeypatch.setattr(fuzz_rules, "find_unreached", all_of_them)
    finds = [find for seed in range(2) for find in disagreements(seed, dissections, 100)]
    assert any("is shadowed: so it is; it did" in find for find in finds)


def test_rule_sets_reach_everything(dissections: Dissections) -> None:
    """Every field, every outcome, frames good and malformed, in both directions: else their agreement says little."""
    fields, outcomes, found = set[str](), Counter[Outcome](), Counter[str | None]()
    kinds = set[type[Condition]]()
    for seed in range(150):
        chance = random.Random(seed)
        with random_capture(chance, 200) as capture:
            rules, judgements = judged(chance, capture, dissections)
        conditions = [condition for rule in rules.rules for condition in rule.conditions]
        fields |= {matcher.name for condition in conditions for matcher in matchers_of(condition)}
        kinds |= {type(condition) for condition in conditions}
        outcomes.update(step.outcome for judgement in judgements for step in judgement.steps)
        found.update(judgement.by for judgement in judgements)
    assert fields == {*MATCHERS, *OUTER_MATCHERS}
    assert kinds == set(typing.get_args(Condition))
    proxies = {Outcome.NO_SYN}  # no rule set here has one: they are stages (tests/appliance/rules/walk/test_syns.py)
    assert set(outcomes) == set(Outcome) - proxies
    assert {"allowlist", "policy", "malformed", None} < set(found)
    assert outcomes[Outcome.DECIDED] > 500
