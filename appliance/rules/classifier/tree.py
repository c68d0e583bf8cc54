"""A tree over boxes, grown level by level: all nodes of a level are cut at once, in numpy.

A node of few boxes, or one that no cut is worth it for, is a leaf. Where that leaves more boxes in one than the walk
reads, the last of them are told as excess, and the tree is one for fewer boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.rules.classifier.cuts import Cuts, Integers, Level, choose, scatter
from appliance.rules.classifier.layout import (
    COUNT_AT,
    LEAF,
    LEFT_AT,
    MOST_CUTS,
    MOST_RECORDS,
    RIGHT_AT,
    WORD_AT,
    WORD_BITS,
)
from appliance.rules.classifier.ternary import Patterns, Words

Flags = NDArray[np.bool_]

LEAF_SIZE = 8  # boxes that a node needn't be cut for


@dataclass(frozen=True, slots=True)
class Tree:
    """`nodes` as layout.py draws them, the root first; children count from the root, records from the first of
    `records`, which has the box of each record. A tree with `excess`, the boxes that some leaf has no room for, is none
    to use."""

    nodes: Words
    records: Integers
    excess: Integers


def grow(patterns: Patterns, boxes: Integers) -> Tree:
    """A tree over these boxes, in the order of their rules."""
    nodes: list[Words] = []
    records: list[Integers] = []
    excess: list[Integers] = []
    known, recorded = 1, 0  # nodes and records that have a place
    owners, count = np.zeros(len(boxes), np.int64), 1
    for depth in range(MOST_CUTS + 1):
        counts = np.bincount(owners, minlength=count)
        cuts = _cuts(patterns, boxes, owners, counts, is_last=depth == MOST_CUTS)
        is_leaf = cuts.widths == 0
        level = np.zeros(count, np.uint64)
        in_leaf = is_leaf[owners]
        sizes = np.where(is_leaf, counts, 0)
        level[is_leaf] = _leaves(recorded + np.cumsum(sizes) - sizes, sizes)[is_leaf]
        records.append(boxes[in_leaf])
        recorded += len(records[-1])
        begins = np.cumsum(counts) - counts
        excess.append(boxes[in_leaf & (np.arange(len(boxes)) - begins[owners] >= MOST_RECORDS)])
        children = np.where(is_leaf, 0, 1 << cuts.widths)
        firsts = np.cumsum(children) - children
        level[~is_leaf] = _cut_nodes(known + firsts, cuts)[~is_leaf]
        nodes.append(level)
        if is_leaf.all():
            break
        boxes, owners = _descend(patterns, boxes[~in_leaf], owners[~in_leaf], is_leaf, cuts, firsts)
        count = int(children.sum())
        known += count
    return Tree(np.concatenate(nodes), np.concatenate(records), np.unique(np.concatenate(excess)))


def _cuts(patterns: Patterns, boxes: Integers, owners: Integers, counts: Integers, *, is_last: bool) -> Cuts:
    """A cut for every node that has one; width 0 for leaves."""
    bits, widths = np.zeros_like(counts), np.zeros_like(counts)
    large = counts > LEAF_SIZE
    if large.any() and not is_last:
        rows = large[owners]
        chosen = choose(_level(patterns, boxes[rows], owners[rows], large, counts), LEAF_SIZE)
        bits[large], widths[large] = chosen.bits, chosen.widths
    return Cuts(bits, widths)


def _level(patterns: Patterns, boxes: Integers, owners: Integers, kept: Flags, counts: Integers) -> Level:
    """The boxes of the nodes that are kept, which are numbered anew."""
    numbers = np.cumsum(kept) - 1
    return Level(patterns.of_boxes(boxes), boxes, numbers[owners], counts[kept])


def _descend(
    patterns: Patterns, boxes: Integers, owners: Integers, is_leaf: Flags, cuts: Cuts, firsts: Integers
) -> tuple[Integers, Integers]:
    """The boxes and their nodes one level further down, by node and then in the order of their rules."""
    inner = ~is_leaf
    level = _level(patterns, boxes, owners, inner, np.bincount(owners, minlength=len(is_leaf)))
    children, rows = scatter(level, Cuts(cuts.bits[inner], cuts.widths[inner]))
    below = firsts[inner][level.nodes[rows]] + children
    order = np.lexsort((boxes[rows], below))
    return boxes[rows][order], below[order]


def _leaves(firsts: Integers, counts: Integers) -> Words:
    return np.uint64(LEAF) | counts.astype(np.uint64) << np.uint64(COUNT_AT) | firsts.astype(np.uint64)


def _cut_nodes(firsts: Integers, cuts: Cuts) -> Words:
    lowest = cuts.bits % WORD_BITS
    left, right = WORD_BITS - lowest - cuts.widths, WORD_BITS - cuts.widths
    parts = ((firsts, 0), (left, LEFT_AT), (right % WORD_BITS, RIGHT_AT), (cuts.bits // WORD_BITS, WORD_AT))
    node = np.zeros(len(firsts), np.uint64)
    for numbers, at in parts:
        node |= numbers.astype(np.uint64) << np.uint64(at)
    return node
