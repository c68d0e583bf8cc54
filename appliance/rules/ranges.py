"""Sets of numbers as sorted, disjoint ranges: what every list, prefix, operator and named set becomes.

    [80, 443, "1024-2047"]        ((80, 80), (443, 443), (1024, 2047))
    192.0.2.0/24                  ((0xc0000200, 0xc00002ff),)

Both ends belong to a range, ranges don't touch, and so two sets with the same numbers are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Range = tuple[int, int]
Ranges = tuple[Range, ...]


def union(ranges: Iterable[Range]) -> Ranges:
    """Every number that is in one of the ranges, which may overlap and stand in any order."""
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges, maximum: int) -> Ranges:
    """Every number from 0 to `maximum` that isn't in the ranges."""
    rest: list[Range] = []
    start = 0
    for low, high in ranges:
        if low > start:
            rest.append((start, low - 1))
        start = high + 1
    if start <= maximum:
        rest.append((start, maximum))
    return tuple(rest)


def intersection(left: Ranges, right: Ranges) -> Ranges:
    """Every number that is in both."""
    both: list[Range] = []
    a = b = 0
    while a < len(left) and b < len(right):
        low, high = max(left[a][0], right[b][0]), min(left[a][1], right[b][1])
        if low <= high:
            both.append((low, high))
        if left[a][1] < right[b][1]:
            a += 1
        else:
            b += 1
    return tuple(both)


def prefixes(ranges: Ranges, bits: int) -> Iterator[tuple[int, int]]:
    """The fewest (first number, prefix length) that cover exactly these numbers of `bits` bits."""
    for low, high in ranges:
        while low <= high:
            size = (low & -low).bit_length() - 1 if low else bits
            size = min(size, (high - low + 1).bit_length() - 1)
            yield low, bits - size
            low += 1 << size
