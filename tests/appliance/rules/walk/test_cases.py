"""Every case of tests/cases/rules through the walk: it must say what the kernel says of the compiled object."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.decisions import connection_states
from appliance.box.dissection import Dissection
from appliance.datapath.captures import Capture
from appliance.datapath.captures.capture import FRAME
from appliance.datapath.layout import ReplayFrame
from appliance.rules import RuleSet
from appliance.rules.conditions import matched
from appliance.rules.model import Direction
from appliance.rules.parsed import STATE_FIELD
from appliance.rules.walk import Walk
from tests.rule_cases import RuleCase, load_cases

# A walk runs no code, and what connections are it takes from a replay, where no box has just started.
_NOT_HERE = ("stages:", "grace: 1")
CASES = tuple(case for case in load_cases() if not any(words in case.rules for words in _NOT_HERE))
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
        if rules.tunnels or any(
            matcher.slice for rule in rules.rules for each in rule.conditions for matcher in matched(each)
        ):
            with Dissection(rules.rules, rules.tunnels) as special:
                dissected = list(special.frames(capture))
        else:
            dissected = list(dissection.frames(capture))
    states = iter(_states(rules, case))
    for number, (step, read) in enumerate(zip(case.steps, dissected, strict=True)):
        verdicts, counts = Counter[str](), Counter[str]()
        now += round(step.wait * 10**9)
        for _ in range(step.times):
            now += BETWEEN
            frame = read.with_fields({STATE_FIELD: next(states)})
            judgement = walk.judge(frame, Direction(step.way), now)
            verdicts[judgement.verdict.value] += 1
            counts.update(judgement.counted)
        assert dict(verdicts) == step.verdicts, f"frame {number}"
        assert dict(counts) == step.counts, f"frame {number}"
        assert frame.malformed == step.error or not step.error, f"frame {number}"


def _states(rules: RuleSet, case: RuleCase) -> list[int]:
    """What the connection of each frame is in, as often as it is sent."""
    frames = [step.frame for step in case.steps for _ in range(step.times)]
    now, number = 10**9, 0
    with Capture.of(frames, case.name) as capture:
        for step in case.steps:
            now += round(step.wait * 10**9)
            for _ in range(step.times):
                now += BETWEEN
                place = number * FRAME.size
                struct.pack_into("=I", capture.table, place + ReplayFrame.program.offset, step.way == "out")
                struct.pack_into("=Q", capture.table, place + ReplayFrame.time_ns.offset, now)
                number += 1
        return connection_states(rules, capture, learns=True)
