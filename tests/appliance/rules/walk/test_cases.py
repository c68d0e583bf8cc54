"""Every case of tests/cases/rules through the walk: it must say what the kernel says of the compiled object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.dissection import Dissection
from appliance.datapath.captures import Capture
from appliance.rules.model import Direction, matched
from appliance.rules.walk import Walk
from tests.rule_cases import RuleCase, load_cases

CASES = tuple(case for case in load_cases() if "stages:" not in case.rules)  # a walk runs no code
BETWEEN = 100_000  # nanoseconds from a frame to the next


@pytest.fixture(scope="module")
def dissection() -> Iterator[Dissection]:
    with Dissection() as dissection:
        yield dissection


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: RuleCase, tmp_path: Path, dissection: Dissection) -> None:
    rules = case.rule_set(tmp_path)
    walk = Walk(rules)
    now = 10**9
    with Capture.of([step.frame for step in case.steps], case.name) as capture:
        if any(matcher.slice for rule in rules.rules for each in rule.conditions for matcher in matched(each)):
            with Dissection(rules.rules) as special:
                dissected = list(special.frames(capture))
        else:
            dissected = list(dissection.frames(capture))
    for number, (step, frame) in enumerate(zip(case.steps, dissected, strict=True)):
        verdicts, counts = Counter[str](), Counter[str]()
        now += round(step.wait * 10**9)
        for _ in range(step.times):
            now += BETWEEN
            judgement = walk.judge(frame, Direction(step.way), now)
            verdicts[judgement.verdict.value] += 1
            counts.update(judgement.counted)
        assert dict(verdicts) == step.verdicts, f"frame {number}"
        assert dict(counts) == step.counts, f"frame {number}"
        assert frame.malformed == step.error or not step.error, f"frame {number}"
