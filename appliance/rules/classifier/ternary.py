"""Boxes as bits that are 0, 1 or either, which is all that cuts know of them.

A prefix is such a pattern as it is. Of a range those bits are known that all its numbers have in common; what a cut so
puts into more children than it needs to, the comparison in the leaf sorts out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.rules.classifier.layout import LANES, WORD_BITS, Lane

Words = NDArray[np.uint64]

_U = np.uint64


@dataclass(frozen=True, slots=True)
class Patterns:
    """`values` and `masks`, each of shape (boxes, words): the bits that are known, and which ones are."""

    values: Words
    masks: Words

    @classmethod
    def of(cls, addresses: Words, low: Words, high: Words) -> Patterns:
        """`addresses` are value and mask in turn, one column each; `low` and `high` are the ranges, without guards."""
        known = np.zeros_like(low)
        for lane in LANES:
            known |= _in_common(low, high, lane)
        values = np.column_stack((addresses[:, 0::2], low & known))
        return cls(values, np.column_stack((addresses[:, 1::2], known)))

    def of_boxes(self, boxes: NDArray[np.int64]) -> Patterns:
        return Patterns(self.values[boxes], self.masks[boxes])

    def window(self, word: NDArray[np.int64], shift: Words, width: Words) -> tuple[Words, Words]:
        """Some neighbouring bits of a word, each row its own: their values, and which of them are known."""
        rows = np.arange(len(word))
        mask = (_U(1) << width) - _U(1)
        return (self.values[rows, word] >> shift) & mask, (self.masks[rows, word] >> shift) & mask


def _in_common(low: Words, high: Words, lane: Lane) -> Words:
    """A mask of the bits above the highest one in which both ends of the range differ."""
    differ = (low ^ high) & _U(lane.mask)
    for distance in (1, 2, 4, 8):
        differ |= (differ >> _U(distance)) & _U(lane.mask)
    return ~differ & _U(lane.mask)


def bits_of(words: Words) -> NDArray[np.uint8]:
    """The bits of each word, the lowest first, as bytes of 0 and 1: shape (rows, WORD_BITS)."""
    octets = words.astype("<u8").view(np.uint8).reshape(len(words), WORD_BITS // 8)
    return np.unpackbits(octets, axis=1, bitorder="little")


def spread(numbers: Words, places: Words) -> Words:
    """The low bits of each number put where `places` has ones, the lowest first (as PDEP does)."""
    spread_out = np.zeros_like(numbers)
    while places.any():
        lowest = places & (~places + _U(1))
        spread_out |= np.where(numbers & _U(1), lowest, _U(0))
        places, numbers = places & ~lowest, numbers >> _U(1)
    return spread_out
