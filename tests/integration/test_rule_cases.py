"""Every case of tests/cases/rules by Tidegate's own road: compiled, loaded, verified, and run by both engines."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from appliance.rules import CompiledRules, compile_rule_set
from appliance.rules.classifier import plan
from tests.integration.engines import ENGINES, InterpretedRules, NativeRules
from tests.rule_cases import RuleCase, Step, load_cases

BEGIN = 1_700_000_000 * 10**9


@pytest.mark.parametrize("case", tuple(load_cases()), ids=lambda case: case.name)
def test_case(case: RuleCase, tmp_path: Path) -> None:
    _run_case(compile_rule_set(case.rule_set(tmp_path)), case)


# What stands in front of the rules is the same code, whether they lie in tables or not.
_IN_FRONT = ("connections:", "stages:", "tunnels:")
_OF_RULES = tuple(case for case in load_cases() if not any(key in case.rules for key in _IN_FRONT))


@pytest.mark.parametrize("case", _OF_RULES, ids=lambda case: case.name)
def test_case_in_tables(case: RuleCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule that can lie in a table does, however few there are."""
    monkeypatch.setattr(plan, "FEWEST", 1)
    compiled = compile_rule_set(case.rule_set(tmp_path))
    if any(name.startswith(("nodes", "boxes")) for name in compiled.contents):
        _run_case(compiled, case)


def _run_case(compiled: CompiledRules, case: RuleCase) -> None:
    for name, engine in ENGINES.items():
        with engine(compiled) as rules:
            now = BEGIN
            for number, step in enumerate(case.steps):
                now += round(step.wait * 10**9)
                _run(rules, step, now, f"{name}, frame {number}")


def _run(rules: NativeRules | InterpretedRules, step: Step, now: int, name: str) -> None:
    packets, sizes, errors = rules.packets(), rules.bytes(), rules.errors()
    verdicts = Counter(rules.run(step.frame, step.way, now) for _ in range(step.times))
    assert dict(verdicts) == step.verdicts, name
    assert rules.out == step.out, name
    counted = {key: value - packets[key] for key, value in rules.packets().items() if value != packets[key]}
    assert counted == step.counts, name
    grown = {key: value - sizes[key] for key, value in rules.bytes().items() if value != sizes[key]}
    assert grown == {key: count * len(step.frame) for key, count in step.counts.items() if step.frame}, name
    wrong = {key: value - errors[key] for key, value in rules.errors().items() if value != errors[key]}
    assert wrong == ({step.error: step.times} if step.error else {}), name
