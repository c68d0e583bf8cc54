"""Which of many boxes hold a given one: for every field a table from sets to the boxes that take them.

Boxes are numbers, and a set of boxes is an integer with a bit for each. A box is held by those that hold it along every
field, so the answer is one conjunction for each field:

    source in 10.1.0.0/16        …0110 1101      boxes that don't ask, or whose set holds that
    destination_port {80}        …0100 0111
                                 …0100 0101      hold both

Along one field the sets that hold a given one are found in order of where they begin: those that end before the one in
question begins are forgotten for good, which leaves few where sets are prefixes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.rules.analysis.boxes import Box, Dimension, implied, includes, key_of
from appliance.rules.conditions import Condition
from appliance.rules.ranges import Ranges

Boxes = int  # a bit for each box

Alive = Callable[[], None]  # called now and then; raises what ends the work


@dataclass(frozen=True, slots=True)
class Holders:
    """By field, the boxes that hold each of the sets that were asked about; and those that don't ask for the field."""

    holding: Mapping[Dimension, Mapping[Ranges, Boxes]]
    unasked: Mapping[Dimension, Boxes]
    others: Sequence[tuple[Condition, Boxes]]
    everything: Boxes

    @classmethod
    def of(cls, holders: Mapping[int, Box], held: Iterable[Box], alive: Alive) -> Holders:
        """Tables of the boxes `holders`, for questions about the boxes `held`. Takes time by their sizes alone."""
        everything = sum(1 << number for number in holders)
        by_set: dict[Dimension, dict[Ranges, Boxes]] = {}
        others: dict[tuple[Any, ...], tuple[Condition, Boxes]] = {}
        for number, box in holders.items():
            for dimension, ranges in box.sets.items():
                sets = by_set.setdefault(dimension, {})
                sets[ranges] = sets.get(ranges, 0) | 1 << number
            for condition in box.others:
                key = key_of(condition)
                others[key] = condition, others.get(key, (condition, 0))[1] | 1 << number
        questions: dict[Dimension, set[Ranges]] = {dimension: set() for dimension in by_set}
        for box in held:
            for dimension in box.sets.keys() & by_set.keys():
                questions[dimension].add(box.sets[dimension])
        asked = {dimension: _any(sets.values()) for dimension, sets in by_set.items()}
        unasked = {dimension: everything & ~boxes for dimension, boxes in asked.items()}
        holding = {
            dimension: {
                ranges: boxes | unasked[dimension] for ranges, boxes in _holding(sets, questions[dimension], alive)
            }
            for dimension, sets in by_set.items()
        }
        return cls(holding, unasked, tuple(others.values()), everything)

    def along(self, dimension: Dimension, known: Box) -> Boxes:
        """The boxes that hold `known` (one of those asked about) along a field."""
        ranges = known.sets.get(dimension)
        if ranges is not None:
            return self.holding[dimension][ranges]
        if dimension[1] and not includes(known.versions, dimension[1]):
            return self.everything
        return self.unasked[dimension]

    def by_others(self, known: Box) -> Boxes:
        """The boxes whose conditions that are no sets hold for every frame of `known`."""
        boxes = self.everything
        for condition, askers in self.others:
            if boxes & askers and not implied(condition, known):
                boxes &= ~askers
        return boxes


def bits(boxes: Boxes) -> Iterator[int]:
    """The numbers of the boxes, the lowest first."""
    while boxes:
        lowest = boxes & -boxes
        yield lowest.bit_length() - 1
        boxes ^= lowest


def _any(sets: Iterable[Boxes]) -> Boxes:
    found = 0
    for boxes in sets:
        found |= boxes
    return found


def _holding(sets: Mapping[Ranges, Boxes], questions: Iterable[Ranges], alive: Alive) -> Iterator[tuple[Ranges, Boxes]]:
    """For every set asked about, the boxes whose set holds it. The empty one is held by all."""
    single = sorted((ranges[0][0], ranges[0][1], boxes) for ranges, boxes in sets.items() if len(ranges) == 1)
    several = [(ranges, [low for low, _ in ranges], boxes) for ranges, boxes in sets.items() if len(ranges) > 1]
    position, open_ = 0, list[tuple[int, Boxes]]()
    for ranges in sorted(questions):
        alive()
        if not ranges:
            yield ranges, _any(sets.values())
            continue
        first, last = ranges[0][0], ranges[-1][1]
        while position < len(single) and single[position][0] <= first:
            open_.append(single[position][1:])
            position += 1
        open_ = [(end, boxes) for end, boxes in open_ if end >= first]
        found = _any(boxes for end, boxes in open_ if end >= last)
        for larger, starts, boxes in several:
            if _holds(larger, starts, ranges):
                found |= boxes
        yield ranges, found


def _holds(larger: Ranges, starts: list[int], smaller: Ranges) -> bool:
    for low, high in smaller:
        index = bisect_right(starts, low) - 1
        if index < 0 or high > larger[index][1]:
            return False
    return True
