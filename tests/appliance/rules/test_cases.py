"""Every case of tests/cases/rules in the Linux kernel, which says what an object means: as one function, and cut up."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from appliance.rules import compile_rule_set
from appliance.rules.code import chain
from tests.appliance.rules.kernel import SHORTEST, KernelRules, needs_kernel
from tests.rule_cases import RuleCase, Step, load_cases

CASES = tuple(load_cases())


@needs_kernel
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_in_the_kernel(case: RuleCase, tmp_path: Path) -> None:
    _run_case(case, tmp_path)


@needs_kernel
@pytest.mark.parametrize(
    "case", [case for case in CASES if not any(step.wait for step in case.steps)], ids=lambda case: case.name
)
def test_case_cut_into_one_function_for_each_rule(
    case: RuleCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "LARGEST_FUNCTION", 1)
    _run_case(case, tmp_path)


def _run_case(case: RuleCase, folder: Path) -> None:
    with KernelRules(compile_rule_set(case.rule_set(folder)), folder) as rules:
        for number, step in enumerate(case.steps):
            if len(step.frame) >= SHORTEST:
                _run(rules, step, f"frame {number}")


def _run(rules: KernelRules, step: Step, name: str) -> None:
    packets, sizes, errors = rules.packets(), rules.bytes(), rules.errors()
    time.sleep(step.wait)
    verdicts = Counter(rules.run(step.frame, step.way) for _ in range(step.times))
    assert dict(verdicts) == step.verdicts, name
    assert rules.out == step.out, name
    counted = {key: value - packets[key] for key, value in rules.packets().items() if value != packets[key]}
    assert counted == step.counts, name
    grown = {key: value - sizes[key] for key, value in rules.bytes().items() if value != sizes[key]}
    assert grown == {key: count * len(step.frame) for key, count in step.counts.items()}, name
    wrong = {key: value - errors[key] for key, value in rules.errors().items() if value != errors[key]}
    assert wrong == ({step.error: step.times} if step.error else {}), name
