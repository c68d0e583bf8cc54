"""A table asked as layout.py draws it gives what a walk through the list gives."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.rules.classifier.layout import (
    DESTINATION,
    GUARDS,
    MOST_RECORDS,
    MOST_TREES,
    NOTHING,
    PROTOCOL,
    SOURCE,
    V4,
    V6,
    Family,
    rule_number,
)
from appliance.rules.classifier.table import build_table
from tests.appliance.rules.classifier.asking import ask, first_of, random_boxes, random_frame


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1 << 32), st.sampled_from((V4, V6)), st.sampled_from((1, 9, 60, 300)))
def test_a_table_answers_as_a_walk_does(seed: int, family: Family, count: int) -> None:
    chance = random.Random(seed)
    boxes = random_boxes(chance, family, count)
    indices = sorted(chance.randrange(1 << 20) for _ in boxes)  # a rule may have several boxes
    numbers = [rule_number(index, chance.choice((1, 2))) for index in indices]
    numbers = [numbers[indices.index(index)] for index in indices]  # of which each answers the same
    table, left_out = build_table(family, boxes, numbers)
    kept = [place for place in range(count) if place not in set(left_out)]
    boxes, numbers = [boxes[place] for place in kept], [numbers[place] for place in kept]
    for _ in range(20):
        frame = random_frame(chance, boxes)
        assert ask(table, frame) == first_of(boxes, numbers, frame)


def test_the_largest_number_is_kept_whole() -> None:
    boxes = random_boxes(random.Random(3), V6, 1)
    number = NOTHING - 1
    table, _ = build_table(V6, boxes, [number])
    *addresses, low, _ = boxes[0]
    assert ask(table, (*addresses[::2], low)) == number


def test_what_has_no_room_is_left_out_and_told() -> None:
    """Boxes that are not the same, and of which every frame is in all: no cut tells them apart, and trees are few."""
    everywhere = [(0, 0, number, SOURCE.mask | DESTINATION.mask | PROTOCOL.mask | GUARDS) for number in range(900)]
    numbers = [rule_number(index, 1) for index in range(900)]
    table, left_out = build_table(V4, everywhere, numbers)
    assert len(left_out) == 900 - MOST_TREES * MOST_RECORDS
    assert ask(table, (7, 899)) == numbers[0]
