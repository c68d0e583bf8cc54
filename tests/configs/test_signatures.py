"""Every rule of the default set: what it is for falls, however it is wrapped, and what only looks alike stays."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import scapy.all
from scapy.packet import Packet

from appliance.rules import RuleSet, compile_rule_set, load_rule_set
from appliance.rules.remembered import Rate
from tests.integration.engines import NativeRules
from tests.signatures import Signature, frame, load_signatures, packet, wrapped

DEFAULT = Path(__file__).parents[2] / "configs" / "rulesets" / "default.yaml"
PARTS = DEFAULT.parent / "parts"
SIGNATURES = tuple(load_signatures())
SYNS = {"syn-first", "syn-per-source"}  # which remember: they have tests of their own here
# what goes by connections has a test of its own (test_unasked.py)
OF_CONNECTIONS = {
    rule.id for part in ("connections", "unasked") for rule in load_rule_set(PARTS / f"{part}.yaml").rules
}
BEYOND = 50  # frames over a limit
IPV4_SOURCE, IPV6_SOURCE = 26, 22  # where the source address begins, without tags

_moments = count(10**15, 10**13)  # nanoseconds; between two of them every bucket fills, and everything is forgotten


@pytest.fixture(scope="module")
def rule_set() -> RuleSet:
    """The default set on a line that carries one direction only, where signatures are all there is."""
    rules = load_rule_set(DEFAULT)
    assert rules.connections is not None
    return replace(rules, connections=replace(rules.connections, asymmetric=True))


@pytest.fixture(scope="module")
def rules(rule_set: RuleSet) -> Iterator[NativeRules]:
    with NativeRules(compile_rule_set(rule_set)) as loaded:
        yield loaded


def outcome(rules: NativeRules, data: bytes, now: int) -> tuple[str, str]:
    """The verdict, and the rule that counted it."""
    before = rules.packets()
    verdict = rules.run(data, "in", now)
    after = rules.packets()
    (counter,) = (name for name in after if after[name] != before[name])
    return verdict, counter


def test_every_rule_has_a_case(rule_set: RuleSet) -> None:
    named = [signature.rule for signature in SIGNATURES]
    assert sorted(named) == sorted({rule.id for rule in rule_set.rules} - SYNS - OF_CONNECTIONS)


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.rule)
def test_attacks_fall_and_what_looks_alike_stays(rules: NativeRules, rule_set: RuleSet, signature: Signature) -> None:
    assert signature.falls or signature.floods
    for given in signature.falls:
        for name, data in wrapped(given, signature.wrappings):
            assert outcome(rules, data, next(_moments)) == ("drop", signature.rule), f"{name}: {given.summary()}"
    for given in signature.floods:
        (rate,) = (rule.rate for rule in rule_set.rules if rule.id == signature.rule)
        assert rate is not None
        _floods(rules, signature.rule, given, rate)
    for given in signature.stays:
        assert outcome(rules, frame(given), next(_moments)) == ("pass", "policy"), given.summary()


def _floods(rules: NativeRules, rule: str, given: Packet, rate: Rate) -> None:
    """What stays below the limit passes all rules; what is above it falls by this one."""
    now, before = next(_moments), rules.packets()
    for number in range(rate.burst + BEYOND):
        rules.run(_from_source(frame(given), number, rate), "in", now)
    counted = {name: n - before[name] for name, n in rules.packets().items() if n != before[name]}
    assert counted == {"policy": rate.burst, rule: BEYOND}, given.summary()


def _from_source(data: bytes, number: int, rate: Rate) -> bytes:
    """The frame, from an own source each time if the limit isn't for a source."""
    if not rate.per or rate.per[0].name == "ip.src":
        return data
    if data[12:14] == b"\x08\x00":
        address = (int(ipaddress.ip_address("16.0.0.1")) + number).to_bytes(4, "big")
        return data[:IPV4_SOURCE] + address + data[IPV4_SOURCE + 4 :]
    return data[: IPV6_SOURCE + 4] + number.to_bytes(4, "big") + data[IPV6_SOURCE + 8 :]


AMPLIFIED = [signature for signature in SIGNATURES if signature.rule.startswith("amplification-")]


@pytest.mark.parametrize("signature", AMPLIFIED, ids=lambda signature: signature.rule)
def test_fragments_of_amplified_answers_fall(rules: NativeRules, signature: Signature) -> None:
    for given in (each for each in signature.falls + signature.floods if isinstance(each, scapy.all.IP)):
        large = given.copy()
        large[scapy.all.UDP].remove_payload()
        large = large / scapy.all.Raw(bytes(given[scapy.all.UDP].payload).ljust(3000, b"."))
        del large[scapy.all.UDP].len
        pieces = scapy.all.fragment(large, fragsize=1480)
        assert len(pieces) > 1
        for piece in pieces:
            assert outcome(rules, frame(piece), next(_moments)) == ("drop", "udp-fragments")


def test_a_syn_that_speaks_ecn_is_a_syn_like_others(rules: NativeRules) -> None:
    """RFC 3168 and 9768: all three bits are a real client's. It waits its second, as one without them does."""
    for number, flags in enumerate(("S", "SEC", "SECN")):
        syn = frame(packet(f'IP(src="16.1.{number}.1")/TCP(sport=40000, dport=443, flags="{flags}", seq=7)'))
        now = next(_moments)
        assert outcome(rules, syn, now) == ("drop", "syn-first")
        assert outcome(rules, syn, now + 10**9) == ("pass", "policy")


def test_a_source_that_repeats_its_syns_is_held_to_its_rate(rules: NativeRules, rule_set: RuleSet) -> None:
    (rate,) = (rule.rate for rule in rule_set.rules if rule.id == "syn-per-source")
    assert rate is not None
    syns = [frame(packet(f"IP()/TCP(sport=40000, dport=443, seq={n})")) for n in range(rate.burst + BEYOND)]
    now = next(_moments)
    for later, expected in ((0, {"syn-first": len(syns)}), (10**9, {"policy": rate.burst, "syn-per-source": BEYOND})):
        before = rules.packets()
        for syn in syns:
            rules.run(syn, "in", now + later)
        assert {name: n - before[name] for name, n in rules.packets().items() if n != before[name]} == expected
