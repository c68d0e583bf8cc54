"""Whether a condition holds for a frame, by kind of condition; and its layer, by the field that shows it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from appliance.rules.matchers import PRESENCE, Layer
from appliance.rules.model import Condition, HasBits, InAddresses, InRanges, NoneInRanges
from appliance.rules.ranges import Ranges
from appliance.rules.walk.dissector import Dissected

_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "==": lambda value, number: value == number,
    "!=": lambda value, number: value != number,
}


def has_layer(frame: Dissected, layer: Layer) -> bool:
    """Whether the frame has what a matcher of that layer looks at."""
    needed = PRESENCE[layer]
    return needed is None or _RELATIONS[needed.relation](frame[needed.field], needed.number)


def holds(condition: Condition, frame: Dissected) -> bool:
    """Whether a condition whose layer is there holds."""
    return HOLDS[type(condition)](condition, frame)


def lies_in(ranges: Ranges, number: int) -> bool:
    """Ranges are sorted."""
    index = bisect_right(ranges, (number, 1 << 129)) - 1
    return index >= 0 and number <= ranges[index][1]


def _in_ranges(condition: InRanges, frame: Dissected) -> bool:
    return any(lies_in(condition.ranges, frame[field]) for field in condition.matcher.fields)


def _none_in_ranges(condition: NoneInRanges, frame: Dissected) -> bool:
    return not any(lies_in(condition.ranges, frame[field]) for field in condition.matcher.fields)


def _in_addresses(condition: InAddresses, frame: Dissected) -> bool:
    families = {4: condition.addresses.v4, 6: condition.addresses.v6}
    return lies_in(families.get(frame["version"], ()), frame.address(condition.matcher.fields[0]))


def _has_bits(condition: HasBits, frame: Dissected) -> bool:
    return all(test.holds(frame[condition.matcher.fields[0]]) for test in condition.tests)


HOLDS: dict[type[Condition], Callable[[Any, Dissected], bool]] = {
    InRanges: _in_ranges,
    NoneInRanges: _none_in_ranges,
    InAddresses: _in_addresses,
    HasBits: _has_bits,
}
