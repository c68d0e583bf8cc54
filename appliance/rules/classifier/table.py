"""Boxes to a table: the contents of its two maps.

Boxes that are narrow in both addresses, in one of them, or in ports alone have a tree each. In one tree, a box that is
wide where the tree cuts would lie in most of its leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from appliance.rules.classifier.boxes import Box
from appliance.rules.classifier.cuts import Integers
from appliance.rules.classifier.layout import (
    DESTINATION,
    GUARDS,
    LEAF,
    MOST_TREES,
    NOTHING,
    NUMBER_AT,
    NUMBER_HALF,
    SOURCE,
    V4,
    WORD_BITS,
    Family,
    Table,
)
from appliance.rules.classifier.ternary import Patterns, Words
from appliance.rules.classifier.tree import Tree, grow

_U = np.uint64
NARROW_PORTS = 8  # bits that a range's numbers must have in common to be called narrow


def build_table(family: Family, boxes: Sequence[Box], numbers: Sequence[int]) -> tuple[Table, list[int]]:
    """A table of boxes, each with the number of its rule, in the order of rules; and the boxes that it has no room for,
    because too many lie upon each other."""
    columns = np.array(boxes, dtype=_U).reshape(len(boxes), 2 * family.words)
    rules = np.array(numbers, dtype=_U)
    low, high = columns[:, -2], columns[:, -1]
    patterns = Patterns.of(columns[:, :-2], low, high & ~_U(GUARDS))
    first = np.sort(np.unique(columns, axis=0, return_index=True)[1])  # a box that is there again is never first
    trees, left_out = _grow(patterns, [first[part] for part in _parts(family, patterns.of_boxes(first))])
    ordered = sorted(((int(rules[tree.records].min()), tree) for tree in trees), key=lambda entry: entry[0])
    records = _records(columns, rules, [tree for _, tree in ordered])
    return Table(family, _nodes(ordered).tobytes(), records.tobytes()), left_out.tolist()


def _grow(patterns: Patterns, parts: list[Integers]) -> tuple[list[Tree], Integers]:
    """A tree for each part. What is too much for a leaf makes a part of its own, as long as there are trees for it."""
    trees: list[Tree] = []
    while parts and len(trees) < MOST_TREES:
        part = parts.pop(0)
        tree = grow(patterns, part)
        while len(tree.excess):
            parts.append(tree.excess)
            part = np.setdiff1d(part, tree.excess)
            tree = grow(patterns, part)
        trees.append(tree)
    return trees, np.concatenate((np.zeros(0, np.int64), *parts))


def _parts(family: Family, patterns: Patterns) -> list[Integers]:
    """The boxes by what they are narrow in; the ports count where neither address is."""
    addresses = patterns.masks[:, :-1]
    if family is V4:  # both in one word
        half = _U(WORD_BITS // 2)
        addresses = np.column_stack((addresses[:, 0] >> half, addresses[:, 0] << half))
    sides = [_bits(side) < family.narrow for side in np.hsplit(addresses, 2)]
    is_wide = sides[0] & sides[1]
    ports = [is_wide & (_bits(patterns.masks[:, -1:] & _U(lane.mask)) < NARROW_PORTS) for lane in (SOURCE, DESTINATION)]
    kinds = sum(wide.astype(np.int64) << place for place, wide in enumerate((*ports, *sides)))
    return [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]


def _bits(masks: Words) -> Integers:
    """How many bits are known in each row."""
    counts: Integers = np.bitwise_count(masks).sum(axis=1, dtype=np.int64)
    return counts


def _nodes(trees: Sequence[tuple[int, Tree]]) -> Words:
    """The heads of all trees, then their nodes, whose indices move along. Roots stand in the heads."""
    place, first_record = 2 * len(trees) + 1, 0
    heads: list[int] = []
    below: list[Words] = []
    for lowest, tree in trees:
        nodes = tree.nodes.copy()
        is_leaf = (nodes & _U(LEAF)) != 0
        nodes += np.where(is_leaf, _U(first_record), _U(place - 1))  # children count from the root, which is elsewhere
        heads += [lowest, int(nodes[0])]
        below.append(nodes[1:])
        place += len(nodes) - 1
        first_record += len(tree.records)
    return np.concatenate((np.array([*heads, NOTHING], dtype=_U), *below))


def _records(columns: Words, rules: Words, trees: Sequence[Tree]) -> Words:
    """The records of all leaves, with the numbers of their rules in the last two words."""
    numbered = columns.copy()
    numbered[:, -2] |= (rules & _U((1 << NUMBER_HALF) - 1)) << _U(NUMBER_AT)
    numbered[:, -1] |= (rules >> _U(NUMBER_HALF)) << _U(NUMBER_AT)
    records: Words = numbered[np.concatenate([tree.records for tree in trees])]
    return records
