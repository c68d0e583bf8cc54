"""A walk's steps in words: what a condition asks for, what the frame has, and why a rule left it undecided.

tcp.dport is 80, not 22
ip.src is 198.51.100.7, not in 10.0.0.0/8 or 172.16.0.0/12 or 40 more
tcp.flags are syn, not all of fin, psh, urg
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from appliance.rules.actions import ACTIONS
from appliance.rules.conditions import (
    BitTest,
    Condition,
    HasBits,
    InAddresses,
    InCombinations,
    InRanges,
    InSets,
    NoneInRanges,
)
from appliance.rules.matchers import Matcher, version_of
from appliance.rules.model import Action, Direction
from appliance.rules.ranges import Range, prefixes
from appliance.rules.remembered import Rate
from appliance.rules.values import MAC, AddressKind, FlagsKind, Kind, NumberKind, TruthKind
from appliance.rules.walk.conditions import numbers_of
from appliance.rules.walk.dissector import Dissected
from appliance.rules.walk.walk import Outcome, Step

MOST_NAMED = 3  # of many values; the rest is counted
SENDERS = {Direction.IN: "outside", Direction.OUT: "inside"}


def reason(step: Step, frame: Dissected) -> str:
    """Why a rule left a frame undecided, or that it decides."""
    rule = step.rule
    if step.matcher is not None:
        return f"{step.matcher.name} is only in {step.matcher.layer.value}"
    if step.condition is not None:
        return difference(step.condition, frame)
    if step.outcome is Outcome.OTHER_DIRECTION:
        return f"it judges only frames from {SENDERS[rule.direction]}"
    if step.outcome is Outcome.WITHIN_RATE and rule.rate:
        return f"it matches, within its rate ({_rate(rule.rate)})"
    over = f", over its rate ({_rate(rule.rate)})" if rule.rate else ""
    tested = ", and the source has not passed its test" if rule.retransmit else ""
    only = "only " if rule.action is Action.COUNT else ""
    return _MATCHES[step.outcome].format(verb=ACTIONS[rule.action].verb, gate=over or tested, only=only)


_MATCHES = {
    Outcome.AFTER_MONITORED: "it matches, behind another monitored rule, which counted the frame",
    Outcome.PASSED_TEST: "it matches, and the source has passed its test",
    Outcome.NO_SYN: "it matches{gate}, but answers only SYNs",
    Outcome.COUNTED: "it matches{gate}, and {only}{verb}",
    Outcome.MONITORED: "it matches{gate}; it only counts, because it is in monitor mode",
    Outcome.DECIDED: "it matches{gate}, and {verb}",
}


def _rate(rate: Rate) -> str:
    per = f" for each {' . '.join(part.name for part in rate.per)}" if rate.per else ""
    until = f", until below {rate.until:.15g} for {rate.hold:g} s" if rate.until is not None else ""
    return f"{rate.amount:.15g} {rate.unit}{per}, burst {rate.burst}{until}"


def difference(condition: Condition, frame: Dissected) -> str:
    """What a frame has, and what the condition asks for instead."""
    return _DIFFERENCES[type(condition)](condition, frame)


def value_of(matcher: Matcher, frame: Dissected) -> str:
    """What a frame has in the places that a matcher looks at."""
    if matcher.holds_both_families:
        return " and ".join(address(frame[version_of(field)], frame.address(field)) for field in matcher.fields)
    values = numbers_of(matcher, frame)
    there = [value for value in values if not isinstance(matcher.kind, NumberKind) or value <= matcher.kind.maximum]
    return " and ".join(number(matcher.kind, value) for value in there) or "not there"


def number(kind: Kind, value: int) -> str:
    """A value as a rule set may write it, with its name if it has one."""
    if isinstance(kind, FlagsKind):
        return ", ".join(name for name, bit in kind.bits.items() if value & bit) or "none set"
    if isinstance(kind, TruthKind):
        return "true" if value else "false"
    if isinstance(kind, AddressKind):
        return address(4, value)  # one that isn't the packet's own
    if kind is MAC:
        return value.to_bytes(6, "big").hex(":")
    names: Mapping[str, int] = kind.names if isinstance(kind, NumberKind) else {}
    name = next((name for name, known in names.items() if known == value), None)
    return f"{value} ({name})" if name else str(value)


def address(version: int, value: int) -> str:
    return str(ipaddress.IPv6Address(value) if version == 6 else ipaddress.IPv4Address(value))


def _in_ranges(condition: InRanges, frame: Dissected) -> str:
    matcher = condition.matcher
    wanted = _listed([_span(matcher.kind, each) for each in condition.ranges])
    return f"{matcher.name} is {value_of(matcher, frame)}, not {wanted}"


def _none_in_ranges(condition: NoneInRanges, frame: Dissected) -> str:
    matcher = condition.matcher
    unwanted = _listed([_span(matcher.kind, each) for each in condition.ranges])
    return f"{matcher.name} is {value_of(matcher, frame)}, and must not be {unwanted}"


def _in_addresses(condition: InAddresses, frame: Dissected) -> str:
    matcher = condition.matcher
    version = frame[version_of(matcher.fields[0])]
    ranges = condition.addresses.v4 if version == 4 else condition.addresses.v6
    wanted = _listed([_network(version, each) for each in ranges], f"any IPv{version} network")
    return f"{matcher.name} is {value_of(matcher, frame)}, not in {wanted}"


def _has_bits(condition: HasBits, frame: Dissected) -> str:
    matcher = condition.matcher
    failed = next((test for test in condition.tests if not test.holds(frame[matcher.fields[0]])), condition.tests[0])
    return f"{matcher.name} are {value_of(matcher, frame)}, not {_asked(matcher.kind, failed)}"


def _in_sets(condition: InSets, frame: Dissected) -> str:
    named = _listed([f"@{name}" for each in condition.memberships for name in each.sets])
    wrong = "which is in" if condition.negated else "not in"
    return f"{condition.matcher.name} is {value_of(condition.matcher, frame)}, {wrong} {named}"


def _in_combinations(condition: InCombinations, frame: Dissected) -> str:
    name = " . ".join(matcher.name for matcher in condition.matchers)
    values = " . ".join(value_of(matcher, frame) for matcher in condition.matchers)
    wrong = "which is in" if condition.negated else "not in"
    return f"{name} is {values}, {wrong} {_listed([f'@{each}' for each in condition.sets])}"


_DIFFERENCES: dict[type[Condition], Callable[[Any, Dissected], str]] = {
    InRanges: _in_ranges,
    NoneInRanges: _none_in_ranges,
    InAddresses: _in_addresses,
    HasBits: _has_bits,
    InSets: _in_sets,
    InCombinations: _in_combinations,
}


def _asked(kind: Kind, test: BitTest) -> str:
    if isinstance(kind, FlagsKind) and test.mask == sum(kind.bits.values()) and not test.negated:
        return f"exactly {number(kind, test.wanted)}"
    flags = number(kind, test.mask)
    if test.wanted == 0:
        return f"any of {flags}" if test.negated else f"without {flags}"
    return f"without all of {flags}" if test.negated else f"all of {flags}"


def _span(kind: Kind, span: Range) -> str:
    low, high = span
    if isinstance(kind, AddressKind):
        return _network(4, span)
    return number(kind, low) if low == high else f"{number(kind, low)}-{number(kind, high)}"


def _network(version: int, span: Range) -> str:
    low, high = span
    found = list(_first(prefixes((span,), 128 if version == 6 else 32), 2))
    if len(found) == 1:
        length = found[0][1]
        return address(version, low) if low == high else f"{address(version, low)}/{length}"
    return f"{address(version, low)}-{address(version, high)}"


def _first(values: Iterable[tuple[int, int]], most: int) -> Iterable[tuple[int, int]]:
    for _, value in zip(range(most), values, strict=False):
        yield value


def _listed(words: Sequence[str], nothing: str = "anything") -> str:
    """`a`, `a or b`, `a or b or c or 7 more`."""
    named = list(words[:MOST_NAMED])
    if len(words) > MOST_NAMED:
        named.append(f"{len(words) - MOST_NAMED} more")
    return " or ".join(named) or nothing
