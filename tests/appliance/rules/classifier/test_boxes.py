"""A rule's boxes hold just the packets that the rule matches."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.rules.classifier.boxes import MOST_BOXES, boxes
from appliance.rules.classifier.layout import FAMILIES
from appliance.rules.conditions import Condition, InAddresses, InRanges, InSets, Membership
from appliance.rules.matchers import MATCHERS
from appliance.rules.model import Rule
from appliance.rules.ranges import Ranges
from appliance.rules.values import Addresses
from tests.appliance.rules.classifier.asking import frame_of, holds
from tests.fuzz.tables import random_packet, random_rule_set
from tests.rule_walk import TCP, Packet, matches


def rule_of(*conditions: Condition) -> Rule:
    return replace(random_rule_set(1).rules[0], conditions=conditions)


def ports(name: str, *ranges: tuple[int, int]) -> InRanges:
    return InRanges(MATCHERS[name], ranges)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 1 << 32))
def test_a_packet_is_in_a_box_if_the_rule_matches_it(seed: int) -> None:
    chance, rules = random.Random(seed), random_rule_set(seed, 3)
    packets = [random_packet(chance, rules) for _ in range(20)]
    for rule in rules.rules:
        found = boxes(rule, FAMILIES)
        if found is None:
            continue
        for packet in packets:
            family = next((family for family in FAMILIES if family.version == packet.version), None)
            is_in = family is not None and any(holds(box, frame_of(packet, family)) for box in found[family])
            assert is_in == matches(rule, packet, packet.fields())


_ODD: Ranges = tuple((port, port) for port in range(1, 2 * MOST_BOXES + 3, 2))


@pytest.mark.parametrize(
    "conditions",
    [
        (),
        (InRanges(MATCHERS["ip.ttl"], ((1, 1),)),),
        (ports("tcp.dport", (80, 80)), InRanges(MATCHERS["ip.ttl"], ((1, 1),))),
        (InSets(MATCHERS["ip.src"], (Membership(Addresses(), ("some",)),)),),
        (InRanges(MATCHERS["tcp.dport"], _ODD),),
    ],
    ids=["nothing is asked", "a field of no table", "one of them", "a live set", "too many boxes"],
)
def test_what_no_table_can_say_stays_code(conditions: tuple[Condition, ...]) -> None:
    assert boxes(rule_of(*conditions), FAMILIES) is None


@pytest.mark.parametrize("name", ["tcp.dport", "udp.dport", "sctp.dport", "icmp.type", "icmpv6.type"])
def test_every_transport_with_ports_or_types_has_a_row(name: str) -> None:
    found = boxes(rule_of(ports(name, (8, 8))), FAMILIES)
    assert found is not None
    assert any(found.values())


def test_ranges_of_several_fields_multiply_up_to_the_limit() -> None:
    v4, v6 = FAMILIES
    pairs = ports("tcp.sport", (1, 1), (3, 3)), ports("tcp.dport", (5, 5), (7, 9))
    found = boxes(rule_of(*pairs), FAMILIES)
    assert found is not None
    assert [len(found[family]) for family in FAMILIES] == [4, 4]
    only_v4 = InAddresses(MATCHERS["ip.src"], Addresses(v4=((10 << 24, (10 << 24) + 2),)))
    found = boxes(rule_of(*pairs, only_v4), FAMILIES)
    assert found is not None
    assert len(found[v4]) == 8  # 10.0.0.0/31 and 10.0.0.2/32
    assert found[v6] == []
    inside = Packet(4, (10 << 24) + 2, 9, TCP, 3, 8)
    assert [holds(box, frame_of(inside, v4)) for box in found[v4]].count(True) == 1
