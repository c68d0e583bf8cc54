"""Ranges are sets of numbers: every operation against Python's own sets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.rules.ranges import Ranges, complement, intersection, prefixes, union

MAXIMUM = 63
ranges = st.lists(st.tuples(st.integers(0, MAXIMUM), st.integers(0, MAXIMUM)).map(lambda r: (min(r), max(r)))).map(
    union
)


def _numbers(given: Ranges) -> set[int]:
    return {number for low, high in given for number in range(low, high + 1)}


@given(ranges)
def test_ranges_are_sorted_and_do_not_touch(given: Ranges) -> None:
    assert all(low <= high for low, high in given)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(given))


@given(ranges, ranges)
def test_union_and_intersection(left: Ranges, right: Ranges) -> None:
    assert _numbers(union(left + right)) == _numbers(left) | _numbers(right)
    assert _numbers(intersection(left, right)) == _numbers(left) & _numbers(right)
    assert union(intersection(left, right)) == intersection(left, right)


@given(ranges)
def test_complement(given: Ranges) -> None:
    assert _numbers(complement(given, MAXIMUM)) == set(range(MAXIMUM + 1)) - _numbers(given)
    assert complement(complement(given, MAXIMUM), MAXIMUM) == given


@given(ranges)
def test_prefixes_cover_exactly_the_ranges(given: Ranges) -> None:
    cover = [(low, low + (1 << (6 - length)) - 1) for low, length in prefixes(given, 6)]
    assert all(low % (high - low + 1) == 0 for low, high in cover)
    assert sum(high - low + 1 for low, high in cover) == len(_numbers(given))
    assert union(cover) == given


def test_everything_is_one_prefix() -> None:
    assert list(prefixes(((0, 2**128 - 1),), 128)) == [(0, 0)]
