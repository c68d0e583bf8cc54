"""Boxes as bits that are known or not: everything in a box agrees with them."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.rules.classifier.layout import LANES, V4, WORD_BITS
from appliance.rules.classifier.ternary import bits_of, spread
from tests.appliance.rules.classifier.asking import holds, patterns_of, random_boxes, random_frame

words = st.integers(0, (1 << WORD_BITS) - 1)


@settings(deadline=None)
@given(st.integers(0, 1 << 32))
def test_every_frame_in_a_box_agrees_with_its_pattern(seed: int) -> None:
    chance = random.Random(seed)
    boxes = random_boxes(chance, V4, 3)
    patterns = patterns_of(boxes)
    for _ in range(20):
        frame = random_frame(chance, boxes)
        for box, values, masks in zip(boxes, patterns.values.tolist(), patterns.masks.tolist(), strict=True):
            if holds(box, frame):
                assert [word & mask for word, mask in zip(frame, masks, strict=True)] == values


@settings(deadline=None)
@given(st.integers(0, 1 << 32))
def test_of_a_range_those_bits_are_known_that_both_ends_have_in_common(seed: int) -> None:
    (box,) = random_boxes(random.Random(seed), V4, 1)
    (mask,) = patterns_of([box]).masks[:, -1].tolist()
    for lane in LANES:
        low, high = (number >> lane.at & lane.largest for number in box[-2:])
        unknown = (low ^ high).bit_length()
        assert mask >> lane.at & lane.largest == lane.largest >> unknown << unknown


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=5))
def test_bits_stand_in_their_order(numbers: list[int]) -> None:
    found = bits_of(np.array(numbers, np.uint64)).tolist()
    assert found == [[number >> bit & 1 for bit in range(WORD_BITS)] for number in numbers]


@settings(deadline=None)
@given(words, words)
def test_bits_are_spread_to_the_places_of_ones(number: int, places: int) -> None:
    found = int(spread(np.array([number], np.uint64), np.array([places], np.uint64))[0])
    assert found & ~places == 0
    at = [bit for bit in range(WORD_BITS) if places >> bit & 1]
    assert [found >> bit & 1 for bit in at] == [number >> place & 1 for place in range(len(at))]
