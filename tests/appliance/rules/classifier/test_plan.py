"""Tables and code together decide and count as a walk through the list does."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.rules.classifier import plan as plans
from appliance.rules.classifier.layout import NOTHING, VERDICT_BITS, Table
from appliance.rules.classifier.plan import Checkpoint, Plan, plan
from appliance.rules.model import Action, Direction, Mode, Rule, RuleSet
from tests.appliance.rules.classifier.asking import ask, frame_of
from tests.fuzz.tables import random_packet, random_rule_set
from tests.rule_walk import Judgement, Packet, matches, walk

VERDICTS = {Action.DROP: 1, Action.PASS: 2}
SOME_CODE = 2  # a seed of rules some of which ask for a TTL
ACTIONS = {number: action for action, number in VERDICTS.items()}


def inward(rules: RuleSet) -> list[Rule]:
    return [rule for rule in rules.rules if rule.direction.covers(Direction.IN)]


def planned(rules: list[Rule], fewest: int = 1) -> Plan:
    with mock.patch.object(plans, "FEWEST", fewest):
        return plan(rules, VERDICTS)


def found_by(tables: tuple[Table, ...], packet: Packet) -> int:
    return min(
        (ask(each, frame_of(packet, each.family)) for each in tables if each.family.version == packet.version),
        default=NOTHING,
    )


def judge(asked: Plan, rules: RuleSet, packet: Packet) -> Judgement:
    """What the compiled program does with a plan."""
    deciding, noted = found_by(asked.deciding, packet), found_by(asked.monitored, packet)
    counted: list[str] = []
    is_monitored = False
    for step in asked.steps:
        if isinstance(step, Checkpoint):
            end = step.before << VERDICT_BITS
            if noted < min(end, deciding) and not is_monitored:
                counted.append(rules.rules[noted >> VERDICT_BITS].id)
                is_monitored = True
            if deciding < end:
                counted.append(rules.rules[deciding >> VERDICT_BITS].id)
                return Judgement(ACTIONS[deciding & (1 << VERDICT_BITS) - 1], tuple(counted))
            continue
        if (is_monitored and step.mode is Mode.MONITOR) or not matches(step, packet, packet.fields()):
            continue
        counted.append(step.id)
        if step.action is not Action.COUNT and step.mode is Mode.ENFORCE:
            return Judgement(step.action, tuple(counted))
        is_monitored |= step.action is not Action.COUNT
    return Judgement(rules.policy, (*counted, "policy"))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 32))
def test_a_plan_decides_and_counts_as_a_walk_does(seed: int) -> None:
    chance, rules = random.Random(seed), random_rule_set(seed, 30)
    asked = planned(inward(rules))
    for _ in range(20):
        packet = random_packet(chance, rules)
        assert judge(asked, rules, packet) == walk(rules, packet)


def test_few_rules_stay_code() -> None:
    rules = [rule for rule in inward(random_rule_set(4, 30)) if plans._boxes_of(rule) is not None]
    rules = [replace(rule, index=index) for index, rule in enumerate(rules)]
    assert planned(rules, fewest=len(rules) + 1) == Plan((), (), tuple(rules))
    as_table = planned(rules, fewest=len(rules))
    assert as_table.deciding
    assert as_table.steps == (Checkpoint(len(rules)),)
    assert as_table.rules == ()


def test_a_checkpoint_stands_behind_every_run_of_rules_in_tables() -> None:
    rules = inward(random_rule_set(SOME_CODE, 120))
    steps = planned(rules).steps
    code = [step.index for step in steps if isinstance(step, Rule)]
    boxed = [rule.index for rule in rules if rule.index not in code]
    assert code
    assert boxed
    assert not any(isinstance(one, Checkpoint) and isinstance(other, Checkpoint) for one, other in pairwise(steps))
    passed = 0
    for step in steps:
        end = step.before if isinstance(step, Checkpoint) else step.index
        between = [index for index in boxed if passed <= index < end]
        assert bool(between) is isinstance(step, Checkpoint)
        passed = end
    assert passed > max(boxed)
