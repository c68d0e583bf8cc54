"""Many rules of five fields, in the manner of ClassBench: what is found is what comparing every two finds."""

from __future__ import annotations

import random

import pytest

from appliance.errors import SourceLine
from appliance.rules.analysis import FindingKind, find_unreached
from appliance.rules.conditions import InAddresses, InRanges
from appliance.rules.matchers import MATCHERS
from appliance.rules.model import Action, Direction, Mode, Rule, RuleSet
from appliance.rules.ranges import Range
from appliance.rules.values import Addresses

NETWORKS = 40  # prefixes are parts of so many networks, so that many are parts of each other
FILE = "many.yaml"

Five = tuple[Range, Range, Range, Range, int]  # addresses, ports, protocol


def random_five(chance: random.Random) -> Five:
    protocol = chance.choice((6, 6, 17))
    return _prefix(chance), _prefix(chance), _ports(chance), _ports(chance), protocol


def _prefix(chance: random.Random) -> Range:
    host = chance.choice((0, 4, 8, 12, 20))
    low = (10 << 24 | chance.randrange(NETWORKS) << 16 | chance.randrange(1 << 16)) >> host << host
    return low, low | (1 << host) - 1


def _ports(chance: random.Random) -> Range:
    low = chance.choice((0, 0, 22, 80, 1024))
    return low, chance.choice((low, 65535)) if low else 65535


def rule_set(fives: list[Five]) -> RuleSet:
    rules = []
    for index, (source, destination, sport, dport, protocol) in enumerate(fives):
        name = {6: "tcp", 17: "udp"}[protocol]
        conditions = (
            InAddresses(MATCHERS["ip.src"], Addresses((source,))),
            InAddresses(MATCHERS["ip.dst"], Addresses((destination,))),
            InRanges(MATCHERS["ip.proto"], ((protocol, protocol),)),
            InRanges(MATCHERS[f"{name}.sport"], (sport,)),
            InRanges(MATCHERS[f"{name}.dport"], (dport,)),
        )
        action = (Action.DROP, Action.PASS)[index % 2]
        where = SourceLine(FILE, index + 1)
        rules.append(Rule(f"r{index}", index, conditions, action, Mode.ENFORCE, Direction.BOTH, None, None, "", where))
    return RuleSet(FILE, Action.PASS, Action.DROP, Mode.ENFORCE, Direction.BOTH, Addresses(), tuple(rules), {FILE: ""})


def first_holder(fives: list[Five], index: int) -> int | None:
    """By comparing with each earlier one."""
    *ranges, protocol = fives[index]
    for number, (*others, other) in enumerate(fives[:index]):
        pairs = zip(others, ranges, strict=True)
        if other == protocol and all(low <= inner and last <= high for (low, high), (inner, last) in pairs):
            return number
    return None


@pytest.mark.parametrize("seed", range(3))
def test_what_every_two_say(seed: int) -> None:
    chance = random.Random(seed)
    fives = [random_five(chance) for _ in range(600)]
    analysis = find_unreached(rule_set(fives), most_seconds=60)
    found = {
        finding.rule.index: finding.by[0].index
        for finding in analysis.findings
        if finding.kind in (FindingKind.SHADOWED, FindingKind.REDUNDANT)
    }
    expected = {index: holder for index in range(len(fives)) if (holder := first_holder(fives, index)) is not None}
    assert found == expected
    assert len(found) > 20


def test_ten_thousand_rules() -> None:
    chance = random.Random(1)
    fives = [random_five(chance) for _ in range(10_000)]
    analysis = find_unreached(rule_set(fives), most_seconds=60)
    assert analysis.is_complete
    for finding in analysis.findings[:: len(analysis.findings) // 50]:
        if len(finding.by) == 1:
            assert first_holder(fives, finding.rule.index) == finding.by[0].index
