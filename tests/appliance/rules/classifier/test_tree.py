"""A tree over boxes: the leaf that a frame comes to has every box that the frame is in, and no leaf has too many."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.rules.classifier.layout import COUNT_AT, COUNT_MASK, FIRST_MASK, LEAF, MOST_RECORDS, V4, V6, Family
from appliance.rules.classifier.tree import LEAF_SIZE, Tree, grow
from tests.appliance.rules.classifier.asking import descend, everything, holds, patterns_of, random_boxes, random_frame


def records_of(tree: Tree, leaf: int) -> list[int]:
    """The boxes in a leaf."""
    first, count = leaf & FIRST_MASK, leaf >> COUNT_AT & COUNT_MASK
    return [int(box) for box in tree.records[first : first + count]]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1 << 32), st.sampled_from((V4, V6)), st.sampled_from((1, LEAF_SIZE, 40)))
def test_the_leaf_of_a_frame_has_all_that_the_frame_is_in(seed: int, family: Family, count: int) -> None:
    chance = random.Random(seed)
    boxes = random_boxes(chance, family, count)
    tree = grow(patterns_of(boxes), everything(boxes))
    nodes = tuple(tree.nodes.tolist())
    excess = set(tree.excess.tolist())
    for _ in range(30):
        frame = random_frame(chance, boxes)
        found = records_of(tree, descend(nodes, nodes[0], frame))
        assert found == sorted(found)
        missing = {number for number, box in enumerate(boxes) if holds(box, frame)} - set(found)
        assert missing <= excess


def test_few_boxes_are_one_leaf() -> None:
    boxes = random_boxes(random.Random(1), V4, LEAF_SIZE)
    tree = grow(patterns_of(boxes), everything(boxes))
    assert tree.nodes.tolist() == [LEAF | LEAF_SIZE << COUNT_AT]
    assert tree.records.tolist() == list(range(LEAF_SIZE))


def test_what_no_leaf_has_room_for_is_told() -> None:
    boxes = random_boxes(random.Random(1), V4, 1) * (MOST_RECORDS + 3)
    tree = grow(patterns_of(boxes), everything(boxes))
    assert tree.excess.tolist() == [MOST_RECORDS, MOST_RECORDS + 1, MOST_RECORDS + 2]


def test_most_leaves_of_boxes_that_lie_apart_are_small() -> None:
    chance = random.Random(1)
    low, high = random_boxes(chance, V4, 1)[0][-2:]
    boxes = [(chance.getrandbits(64), (1 << 64) - 1, low, high) for _ in range(5_000)]
    tree = grow(patterns_of(boxes), everything(boxes))
    assert not len(tree.excess)
    counts = [node >> COUNT_AT & COUNT_MASK for node in tree.nodes.tolist() if node & LEAF]
    assert sum(count <= LEAF_SIZE for count in counts) > 0.99 * len(counts)
    assert len(tree.records) == 5_000  # every bit is known: nothing is copied
