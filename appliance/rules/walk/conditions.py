"""Whether a condition holds for a frame, by kind of condition; and its layer, by the field that shows it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from appliance.rules.conditions import (
    Condition,
    HasBits,
    InAddresses,
    InCombinations,
    InRanges,
    InSets,
    Membership,
    NoneInRanges,
)
from appliance.rules.layers import PRESENCE, AnyLayer
from appliance.rules.matchers import ABSENT_NUMBERS, Matcher, version_of
from appliance.rules.ranges import Ranges
from appliance.rules.sets.members import Members
from appliance.rules.values import Addresses, OptionKind
from appliance.rules.walk.dissector import Dissected

Sets = Mapping[str, Members]

_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "==": lambda value, number: value == number,
    "!=": lambda value, number: value != number,
}


def has_layer(frame: Dissected, layer: AnyLayer) -> bool:
    """Whether the frame has what a matcher of that layer looks at."""
    needed = PRESENCE[layer]
    return needed is None or _RELATIONS[needed.relation](frame[needed.field], needed.number)


def matchers_of(condition: Condition) -> tuple[Matcher, ...]:
    """The fields that a condition speaks of."""
    return condition.matchers if isinstance(condition, InCombinations) else (condition.matcher,)


def holds(condition: Condition, frame: Dissected, sets: Mapping[str, Members]) -> bool:
    """Whether a condition whose layer is there holds; `sets` are the live ones."""
    return HOLDS[type(condition)](condition, frame, sets)


def lies_in(ranges: Ranges, number: int) -> bool:
    """Ranges are sorted."""
    index = bisect_right(ranges, (number, 1 << 129)) - 1
    return index >= 0 and number <= ranges[index][1]


def numbers_of(matcher: Matcher, frame: Dissected) -> Sequence[int]:
    """What the frame has of a matcher that has numbers: one for each field, or the types of its options."""
    numbers = [frame[field] for field in matcher.fields]
    return matcher.kind.types(numbers) if isinstance(matcher.kind, OptionKind) else numbers


def _in_ranges(condition: InRanges, frame: Dissected, _: Sets) -> bool:
    return any(lies_in(condition.ranges, number) for number in numbers_of(condition.matcher, frame))


def _none_in_ranges(condition: NoneInRanges, frame: Dissected, _: Sets) -> bool:
    return not any(lies_in(condition.ranges, number) for number in numbers_of(condition.matcher, frame))


def _in_addresses(condition: InAddresses, frame: Dissected, _: Sets) -> bool:
    return _is_among(condition.addresses, frame, condition.matcher.fields[0])


def _is_among(addresses: Addresses, frame: Dissected, side: str) -> bool:
    families = {4: addresses.v4, 6: addresses.v6}
    return lies_in(families.get(frame[version_of(side)], ()), frame.address(side))


def _has_bits(condition: HasBits, frame: Dissected, _: Sets) -> bool:
    return all(test.holds(frame[condition.matcher.fields[0]]) for test in condition.tests)


def _in_sets(condition: InSets, frame: Dissected, sets: Sets) -> bool:
    matcher = condition.matcher
    return condition.negated is not any(
        all(_is_member(membership, matcher, field, frame, sets) for membership in condition.memberships)
        for field in matcher.fields
        if frame.fields.get(field) != ABSENT_NUMBERS.get(field, -1)
    )


def _is_member(wanted: Membership, matcher: Matcher, field: str, frame: Dissected, sets: Sets) -> bool:
    constants = wanted.constants
    if isinstance(constants, Addresses):
        is_constant = _is_among(constants, frame, field)
    else:
        is_constant = lies_in(constants, frame[field])
    value = _value(matcher, field, frame)
    return is_constant or any(sets[name].has((value,), _family((matcher,), frame)) for name in wanted.sets)


def _in_combinations(condition: InCombinations, frame: Dissected, sets: Sets) -> bool:
    values = [_value(matcher, matcher.fields[0], frame) for matcher in condition.matchers]
    family = _family(condition.matchers, frame)
    return condition.negated is not (family > 0 and any(sets[name].has(values, family) for name in condition.sets))


def _value(matcher: Matcher, field: str, frame: Dissected) -> int:
    return frame.address(field) if matcher.holds_both_families else frame[field]


def _family(matchers: Sequence[Matcher], frame: Dissected) -> int:
    """The family of the addresses among these fields: the packet's, or IPv4 where only ARP and the like have some. 0 if
    one is of another packet's family than the next."""
    versions = {frame[version_of(each.fields[0])] for each in matchers if each.holds_both_families}
    if len(versions) > 1:
        return 0
    return versions.pop() if versions else 4


HOLDS: dict[type[Condition], Callable[[Any, Dissected, Sets], bool]] = {
    InRanges: _in_ranges,
    NoneInRanges: _none_in_ranges,
    InAddresses: _in_addresses,
    HasBits: _has_bits,
    InSets: _in_sets,
    InCombinations: _in_combinations,
}
