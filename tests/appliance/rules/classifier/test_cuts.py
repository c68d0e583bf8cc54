"""Where a node is cut: windows inside of a field, every box in just those children that it may be in."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.rules.classifier.boxes import Box
from appliance.rules.classifier.cuts import WIDEST, Cuts, Level, choose, fields, scatter
from appliance.rules.classifier.layout import V4, V6, WORD_BITS, Family
from tests.appliance.rules.classifier.asking import everything, holds, patterns_of, random_boxes, random_frame

LEAF = 8


def level_of(boxes: list[Box], nodes: int = 1) -> Level:
    """So many nodes of about the same size."""
    owners = np.sort(everything(boxes) % nodes)
    return Level(patterns_of(boxes), everything(boxes), owners, np.bincount(owners))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1 << 32), st.sampled_from((V4, V6)), st.integers(1, 4))
def test_a_cut_is_a_window_of_one_field(seed: int, family: Family, nodes: int) -> None:
    boxes = random_boxes(random.Random(seed), family, 60)
    cuts = choose(level_of(boxes, nodes), LEAF)
    for bit, width in zip(cuts.bits.tolist(), cuts.widths.tolist(), strict=True):
        assert 0 <= width <= WIDEST
        assert width == 0 or any(first <= bit and bit + width <= end for first, end in fields(family.words))


@settings(deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 2 * WORD_BITS - WIDEST), st.integers(1, WIDEST))
def test_a_box_is_in_every_child_that_a_frame_in_it_leads_to(seed: int, bit: int, width: int) -> None:
    chance = random.Random(seed)
    bit -= max(bit % WORD_BITS + width - WORD_BITS, 0)  # no window reaches from a word into the next one
    boxes = random_boxes(chance, V4, 12)
    children, rows = scatter(level_of(boxes), Cuts(np.array([bit]), np.array([width])))
    there = set(zip(rows.tolist(), children.tolist(), strict=True))
    assert len(there) == len(rows)
    for _ in range(30):
        frame = random_frame(chance, boxes)
        child = frame[bit // WORD_BITS] >> bit % WORD_BITS & (1 << width) - 1
        for number, box in enumerate(boxes):
            assert not holds(box, frame) or (number, child) in there


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1 << 32))
def test_nodes_are_cut_as_if_each_were_alone(seed: int) -> None:
    boxes = random_boxes(random.Random(seed), V4, 60)
    level = level_of(boxes, 3)
    together, first = choose(level, LEAF), 0
    for node, count in enumerate(level.counts.tolist()):
        alone = choose(level_of(boxes[first : first + count]), LEAF)
        assert (alone.bits[0], alone.widths[0]) == (together.bits[node], together.widths[node])
        first += count


def test_a_root_of_many_wide_boxes_takes_little_memory() -> None:
    """Most windows would make 256 copies of each box: they are told by their number alone, before they are made."""
    chance = random.Random(1)
    low, high = random_boxes(chance, V4, 1)[0][-2:]
    boxes: list[Box] = [(chance.getrandbits(32), (1 << 32) - 1, low, high) for _ in range(10_000)]
    level = level_of(boxes)
    tracemalloc.start()
    try:
        cuts = choose(level, LEAF)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert cuts.widths[0] == WIDEST
    assert most < 30 << 20


def test_boxes_that_no_bit_tells_apart_are_not_cut() -> None:
    boxes = random_boxes(random.Random(2), V4, 1) * 40
    assert choose(level_of(boxes), LEAF).widths.tolist() == [0]
