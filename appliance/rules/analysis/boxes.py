"""The frames that a rule matches, as a box: along every field that it asks for, the values that it takes.

    tcp.dport: 80, ip.src: 10.0.0.0/8        transport {6}, destination_port {80}, version {4}, source in IPv4 {10…}

Boxes are compared field by field, which is exact as long as every condition is a set of one field's values. A
condition that isn't is kept as it is: of such, only the same one is known to hold. A layer that must be there is a set,
too, of the field that shows it (`matchers.PRESENCE`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from appliance.rules.conditions import BitTest, Condition, HasBits, InAddresses, InCombinations, InRanges, NoneInRanges
from appliance.rules.layers import PRESENCE, AnyLayer
from appliance.rules.matchers import MATCHERS, OUTER_MATCHERS, Matcher
from appliance.rules.ranges import Ranges, complement, intersection, union
from appliance.rules.values import V4_MAXIMUM, V6_MAXIMUM, FlagsKind, Kind, NumberKind, OptionKind, TruthKind

LARGEST = (1 << 64) - 1  # of any field that isn't an address


def largest_of(kind: Kind) -> int:
    """The largest number that a field of that kind holds."""
    if isinstance(kind, NumberKind):
        return kind.maximum
    if isinstance(kind, FlagsKind):
        return (1 << _width(kind)) - 1
    return 1 if isinstance(kind, TruthKind) else LARGEST


def _width(kind: FlagsKind) -> int:
    return max(kind.bits.values(), default=0).bit_length()


# A field of numbers, or of the addresses of one IP version: (name, 0), (name, 4), (name, 6).
Dimension = tuple[str, int]

FAMILIES = {4: V4_MAXIMUM, 6: V6_MAXIMUM}
VERSION: Dimension = ("version", 0)
_TRANSPORT: Dimension = ("transport", 0)
_PROTOCOL: Dimension = ("protocol", 0)
_VERSIONS: Ranges = ((0, 0), (4, 4), (6, 6))
# Of the protocols that exist in one IP version only, the version: ICMP and ICMPv6.
_VERSION_OF = {1: 4, 58: 6}
_LARGEST_PROTOCOL = 0xFF
_MOST_FLAGS = 12  # bits of a field whose every value is tried
# The largest value of a field that a matcher has for itself.
_LIMITS = {
    matcher.fields[0]: largest_of(matcher.kind)
    for matcher in (*MATCHERS.values(), *OUTER_MATCHERS.values())
    if len(matcher.fields) == 1
}


@dataclass(slots=True)
class Box:
    """`sets` are what each field must be in; a field that isn't named may have any value. `others` are the conditions
    that no set can say. `asked` names the rule's fields behind a set. For one thread."""

    sets: dict[Dimension, Ranges] = field(default_factory=dict)
    others: list[Condition] = field(default_factory=list)
    asked: dict[Dimension, list[str]] = field(default_factory=dict)

    @property
    def versions(self) -> Ranges:
        """The IP versions that its frames may have; 0 is none."""
        return self.sets.get(VERSION, _VERSIONS)

    def narrow(self, dimension: Dimension, ranges: Ranges, asker: str) -> None:
        """One more set that a field must be in."""
        known = self.sets.get(dimension)
        self.sets[dimension] = ranges if known is None else intersection(known, ranges)
        self.asked.setdefault(dimension, []).append(asker)

    def empty_dimension(self) -> Dimension | None:
        """A field that can't have any value, if there is one: then no frame is in the box."""
        return next((dimension for dimension, ranges in self.sets.items() if not ranges), None)


def box_of(conditions: Iterable[Condition]) -> Box:
    """What the conditions ask for, all of them and nothing else."""
    box = Box()
    for condition in conditions:
        _add(box, condition)
    _drop_absent_families(box)
    return box


def known_of(box: Box) -> Box:
    """The same frames, and what is true of them beside what was asked for: TCP's have the protocol 6, and so on."""
    known = Box(dict(box.sets), box.others, {dimension: list(names) for dimension, names in box.asked.items()})
    transport = box.sets.get(_TRANSPORT)
    if transport and transport[-1][1] <= _LARGEST_PROTOCOL and transport[0][0] > 0:
        names = ", ".join(box.asked[_TRANSPORT])
        known.narrow(_PROTOCOL, transport, names)
        known.narrow(VERSION, _VERSIONS[1:], names)
        (low, high), *others = transport
        if low == high and not others and low in _VERSION_OF:
            known.narrow(VERSION, ((_VERSION_OF[low],) * 2,), names)
        _drop_absent_families(known)
    return known


def _drop_absent_families(box: Box) -> None:
    """Nothing is asked of addresses that can't be there."""
    versions = box.sets.get(VERSION)
    if versions is not None:
        box.sets[VERSION] = intersection(versions, _VERSIONS)
    for dimension in [known for known in box.sets if known[1] and not includes(box.versions, known[1])]:
        del box.sets[dimension]


def universe(dimension: Dimension) -> Ranges:
    """Every value that a field can have in a frame that has it."""
    name, family = dimension
    if dimension == VERSION:
        return _VERSIONS
    return ((0, FAMILIES[family] if family else _LIMITS.get(name, LARGEST)),)


def includes(ranges: Ranges, number: int) -> bool:
    return any(low <= number <= high for low, high in ranges)


def _add(box: Box, condition: Condition) -> None:
    if isinstance(condition, InCombinations):
        for each in condition.matchers:
            _present(box, each.layer, each.name)
        box.others.append(condition)
        return
    matcher = condition.matcher
    _present(box, matcher.layer, matcher.name)
    if isinstance(condition, InAddresses) and len(matcher.fields) == 1 and matcher.name not in OUTER_MATCHERS:
        _addresses(box, condition)
    elif isinstance(condition, InRanges) and len(matcher.fields) == 1:
        # what every value of the field is in, isn't asked for
        if not (isinstance(matcher.kind, NumberKind) and condition.ranges == ((0, matcher.kind.maximum),)):
            box.narrow((matcher.fields[0], 0), condition.ranges, matcher.name)
    elif isinstance(condition, NoneInRanges) and not isinstance(matcher.kind, OptionKind):
        for name in matcher.fields:
            box.narrow((name, 0), complement(condition.ranges, LARGEST), matcher.name)
    elif isinstance(condition, HasBits) and isinstance(matcher.kind, FlagsKind) and _width(matcher.kind) <= _MOST_FLAGS:
        box.narrow((matcher.fields[0], 0), _values(condition.tests, _width(matcher.kind)), matcher.name)
    else:
        box.others.append(condition)


def _present(box: Box, layer: AnyLayer, asker: str) -> None:
    needed = PRESENCE[layer]
    if needed is not None:
        number = ((needed.number, needed.number),)
        box.narrow((needed.field, 0), number if needed.relation == "==" else complement(number, LARGEST), asker)


def _addresses(box: Box, condition: InAddresses) -> None:
    name = condition.matcher.name
    sides = {4: condition.addresses.v4, 6: condition.addresses.v6}
    there = tuple((family, family) for family, ranges in sides.items() if ranges)
    box.narrow(VERSION, there, name)
    for family, ranges in sides.items():
        if ranges and ranges != ((0, FAMILIES[family]),):
            box.narrow((condition.matcher.fields[0], family), ranges, name)


@cache
def _values(tests: tuple[BitTest, ...], width: int) -> Ranges:
    """Every value of so many bits that passes the tests."""
    return union((value, value) for value in range(1 << width) if all(test.holds(value) for test in tests))


def key_of(condition: Condition) -> tuple[Any, ...]:
    """What tells a condition from others: conditions of large sets can't be hashed as they are."""
    parts = [getattr(condition, part.name) for part in fields(condition)]
    return (type(condition).__name__, *(part.name if isinstance(part, Matcher) else repr(part) for part in parts))


def implied(condition: Condition, known: Box) -> bool:
    """Whether a condition of no single set holds for every frame of a box."""
    if condition in known.others:
        return True
    if not isinstance(condition, InRanges):
        return False
    names = condition.matcher.fields
    one_is = any(
        (name, 0) in known.sets and intersection(known.sets[name, 0], condition.ranges) == known.sets[name, 0]
        for name in names
    )
    return one_is or any(
        isinstance(other, InRanges)
        and other.matcher.fields == names
        and intersection(other.ranges, condition.ranges) == other.ranges
        for other in known.others
    )


def excluded(condition: InRanges, known: Box) -> bool:
    """Whether a condition of several fields can hold for no frame of a box."""
    everything: Ranges = ((0, LARGEST),)
    return not any(
        intersection(known.sets.get((name, 0), everything), condition.ranges) for name in condition.matcher.fields
    )
