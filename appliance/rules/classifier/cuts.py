"""Where to cut: for every node of a level at once, which neighbouring bits tell its boxes apart best.

A first look takes each bit alone: how many of a node's boxes would be left beside a box after a cut at that bit. The
best window of every field is then tried, and counted as it would come out; the cost of a cut is the logarithm of what
is left beside a box, and of how many more boxes there are than before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.rules.classifier.layout import LANES, WORD_BITS
from appliance.rules.classifier.ternary import Patterns, bits_of, spread

WIDEST = 8  # bits of a cut
COPYING = 1.5  # what twice the boxes cost, in halvings of what is left
_TRIED_NARROWER = (0, 2)  # bits less than would be enough if all told apart
_WORTH = 0.95  # of the boxes may be left beside each

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Level:
    """Boxes in nodes, those of one node side by side: `boxes` and `nodes` are as long as each other, `counts` has the
    number of boxes of each node, of which none is empty."""

    patterns: Patterns  # of `boxes`, row by row
    boxes: Integers
    nodes: Integers
    counts: Integers


@dataclass(frozen=True, slots=True)
class Cuts:
    """A window for each node: its lowest bit, counted through all words, and its width; 0 for none worth it."""

    bits: Integers
    widths: Integers


def fields(words: int) -> list[tuple[int, int]]:
    """First bit and end of what windows are looked for in: halves of address words, and lanes."""
    last = (words - 1) * WORD_BITS
    addresses = [(bit, bit + WORD_BITS // 2) for bit in range(0, last, WORD_BITS // 2)]
    return addresses + [(last + lane.at, last + lane.at + lane.bits) for lane in LANES]


def choose(level: Level, leaf: int) -> Cuts:
    """The best cut of each node, which has more than `leaf` boxes."""
    gains = _gains(level)
    enough = np.clip(np.ceil(np.log2(level.counts / leaf)) + 1, 1, WIDEST).astype(np.int64)
    best = np.full(len(level.counts), np.inf)
    bits, widths = np.zeros_like(enough), np.zeros_like(enough)
    for first, end in fields(level.patterns.values.shape[1]):
        for less in _TRIED_NARROWER:
            tried = np.clip(enough - less, 1, end - first)
            starts = _best_windows(gains[:, first:end], tried) + first
            cost = _cost(level, Cuts(starts, tried), leaf)
            better = cost < best
            best[better], bits[better], widths[better] = cost[better], starts[better], tried[better]
    return Cuts(bits, widths)


def _gains(level: Level) -> Reals:
    """log2 of how much fewer boxes would be beside a box, for each node and bit."""
    begins = np.concatenate(([0], np.cumsum(level.counts)[:-1]))
    count = level.counts[:, None].astype(np.float64)
    gains = []
    for word in range(level.patterns.values.shape[1]):
        known = np.add.reduceat(bits_of(level.patterns.masks[:, word]), begins, axis=0, dtype=np.int64)
        ones = np.add.reduceat(bits_of(level.patterns.values[:, word]), begins, axis=0, dtype=np.int64)
        zeros, either = known - ones, count - known
        left = (zeros * (zeros + either) + ones * (ones + either) + either * (count + either) / 2) / count
        gains.append(np.log2(count / left))
    return np.concatenate(gains, axis=1)


def _best_windows(gains: Reals, widths: Integers) -> Integers:
    """The start of the window of that width with the largest sum, for each row."""
    size = gains.shape[1]
    sums = np.concatenate((np.zeros((len(gains), 1)), np.cumsum(gains, axis=1)), axis=1)
    starts: Integers = np.arange(size)
    ends = starts + widths[:, None]
    inside = np.take_along_axis(sums, np.minimum(ends, size), axis=1) - sums[:, :-1]
    best: Integers = np.argmax(np.where(ends <= size, inside, -1.0), axis=1)
    return best


def _cost(level: Level, cuts: Cuts, leaf: int) -> Reals:
    """What a cut of each node costs, by counting; infinite for one that is not worth it."""
    children, rows = scatter(level, cuts)
    begins = np.concatenate(([0], np.cumsum(1 << cuts.widths)))
    counts = np.bincount(begins[level.nodes[rows]] + children, minlength=begins[-1]).astype(np.float64)
    squares = np.add.reduceat(counts * counts, begins[:-1])
    total = np.add.reduceat(counts, begins[:-1])
    left = squares / total
    cost = np.log2(np.maximum(left / leaf, 0.25)) + COPYING * np.log2(total / level.counts) + 0.05 * cuts.widths
    return np.where(left < _WORTH * level.counts, cost, np.inf)


def scatter(level: Level, cuts: Cuts) -> tuple[Integers, Integers]:
    """Put boxes into children: the child's number in its node, and the row of the level that is put there."""
    bits = cuts.bits[level.nodes]
    shift, width = (bits % WORD_BITS).astype(np.uint64), cuts.widths[level.nodes].astype(np.uint64)
    values, known = level.patterns.window(bits // WORD_BITS, shift, width)
    either = ((np.uint64(1) << width) - np.uint64(1)) & ~known
    copies = 1 << np.bitwise_count(either).astype(np.int64)
    rows = np.repeat(np.arange(len(bits)), copies)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
    children = values[rows] | spread(number.astype(np.uint64), either[rows])
    return children.astype(np.int64), rows
