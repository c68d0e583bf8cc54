"""Where to cut: for every node of a level at once, which neighbouring bits tell its boxes apart best.

A first look takes each bit alone: how many of a node's boxes would be left beside a box after a cut at that bit. The
best window of every field is then tried, and counted as it would come out; the cost of a cut is the logarithm of what
is left beside a box, and of how many more boxes there are than before. How many that is, is known before they are made:
a window that costs too much by that alone is not counted, which in a large node would take a hundred megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.rules.classifier.layout import LANES, WORD_BITS
from appliance.rules.classifier.ternary import Patterns, Words, bits_of, spread

WIDEST = 8  # bits of a cut
COPYING = 1.5  # what twice the boxes cost, in halvings of what is left
_TRIED_NARROWER = (0, 2)  # bits less than would be enough if all told apart
_WORTH = 0.95  # of the boxes may be left beside each
_LEAST_LEFT = 0.25  # of a leaf: nothing is gained by less
_MOST_COPIES = 16  # of a box, on average

Flags = NDArray[np.bool_]
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

    def of_nodes(self, kept: Flags) -> Level:
        """Those nodes alone, numbered anew."""
        if kept.all():
            return self
        rows = kept[self.nodes]
        numbers = np.cumsum(kept) - 1
        boxes, nodes = self.boxes[rows], numbers[self.nodes[rows]]
        return Level(self.patterns.of_boxes(np.flatnonzero(rows)), boxes, nodes, self.counts[kept])


@dataclass(frozen=True, slots=True)
class Cuts:
    """A window for each node: its lowest bit, counted through all words, and its width; 0 for none worth it."""

    bits: Integers
    widths: Integers

    def of_nodes(self, kept: Flags) -> Cuts:
        """Those nodes' alone."""
        return Cuts(self.bits[kept], self.widths[kept])


def fields(words: int) -> list[tuple[int, int]]:
    """First bit and end of what windows are looked for in: halves of address words, and lanes."""
    last = (words - 1) * WORD_BITS
    addresses = [(bit, bit + WORD_BITS // 2) for bit in range(0, last, WORD_BITS // 2)]
    return addresses + [(last + lane.at, last + lane.at + lane.bits) for lane in LANES]


def choose(level: Level, leaf: int) -> Cuts:
    """The best cut of each node, which has more than `leaf` boxes."""
    enough = np.clip(np.ceil(np.log2(level.counts / leaf)) + 1, 1, WIDEST).astype(np.int64)
    best = np.full(len(level.counts), np.inf)
    bits, widths = np.zeros_like(enough), np.zeros_like(enough)
    windows = [(cuts, _copies(level, cuts)) for cuts in _windows(level, enough)]
    for cuts, copies in sorted(windows, key=lambda each: float(each[1].sum())):
        promising = (copies <= _MOST_COPIES) & (_least_cost(copies, cuts.widths) < best)
        if not promising.any():
            continue
        cost = np.full(len(best), np.inf)
        cost[promising] = _cost(level.of_nodes(promising), cuts.of_nodes(promising), leaf)
        better = cost < best
        best[better], bits[better], widths[better] = cost[better], cuts.bits[better], cuts.widths[better]
    return Cuts(bits, widths)


def _windows(level: Level, enough: Integers) -> Iterator[Cuts]:
    """The best window of every field for each node, as wide as is enough or narrower."""
    gains = _gains(level)
    for first, end in fields(level.patterns.values.shape[1]):
        for less in _TRIED_NARROWER:
            widths = np.clip(enough - less, 1, end - first)
            yield Cuts(_best_windows(gains[:, first:end], widths) + first, widths)


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
    cost = _least_cost(total / level.counts, cuts.widths) + np.log2(np.maximum(left / leaf, _LEAST_LEFT) / _LEAST_LEFT)
    return np.where(left < _WORTH * level.counts, cost, np.inf)


def _least_cost(copies: Reals, widths: Integers) -> Reals:
    """What a cut costs that makes so many copies of a box on average, however few are left beside it."""
    cost: Reals = np.log2(_LEAST_LEFT) + COPYING * np.log2(copies) + 0.05 * widths
    return cost


def _copies(level: Level, cuts: Cuts) -> Reals:
    """How many children a cut puts a box into, on average over each node."""
    copies = 1 << np.bitwise_count(_window(level, cuts)[1]).astype(np.int64)
    return np.bincount(level.nodes, weights=copies, minlength=len(level.counts)) / level.counts


def _window(level: Level, cuts: Cuts) -> tuple[Words, Words]:
    """What each box has in its node's window: the bits that are known, and a mask of those that are not."""
    bits = cuts.bits[level.nodes]
    shift, width = (bits % WORD_BITS).astype(np.uint64), cuts.widths[level.nodes].astype(np.uint64)
    values, known = level.patterns.window(bits // WORD_BITS, shift, width)
    return values, ((np.uint64(1) << width) - np.uint64(1)) & ~known


def scatter(level: Level, cuts: Cuts) -> tuple[Integers, Integers]:
    """Put boxes into children: the child's number in its node, and the row of the level that is put there."""
    values, either = _window(level, cuts)
    copies = 1 << np.bitwise_count(either).astype(np.int64)
    rows = np.repeat(np.arange(len(values)), copies)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
    children = values[rows] | spread(number.astype(np.uint64), either[rows])
    return children.astype(np.int64), rows
