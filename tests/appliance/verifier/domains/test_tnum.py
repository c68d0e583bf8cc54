"""Every operation on tristate numbers, against brute force over all of four bits."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from appliance.verifier.domains import tnum
from appliance.verifier.domains.tnum import ALL, Tnum

BITS = 4
NUMBERS = range(1 << BITS)
TNUMS = [Tnum(value, mask) for value in NUMBERS for mask in NUMBERS if not value & mask]
HELD = {t: [n for n in NUMBERS if t.contains(n)] for t in TNUMS}


@pytest.mark.parametrize(
    ("abstract", "concrete"),
    [
        (tnum.add, lambda a, b: a + b),
        (tnum.subtract, lambda a, b: a - b),
        (tnum.multiply, lambda a, b: a * b),
        (tnum.and_, lambda a, b: a & b),
        (tnum.or_, lambda a, b: a | b),
        (tnum.xor, lambda a, b: a ^ b),
    ],
)
def test_a_result_holds_every_concrete_result(
    abstract: Callable[[Tnum, Tnum], Tnum], concrete: Callable[[int, int], int]
) -> None:
    for a, b in itertools.product(TNUMS, TNUMS):
        result = abstract(a, b)
        assert not result.value & result.mask
        assert all(result.contains(concrete(x, y) & ALL) for x in HELD[a] for y in HELD[b]), (a, b)


def test_join_and_meet_are_exact_enough() -> None:
    for a, b in itertools.product(TNUMS, TNUMS):
        joined, met = tnum.join(a, b), tnum.meet(a, b)
        assert all(joined.contains(n) for n in HELD[a] + HELD[b])
        assert [n for n in NUMBERS if met and met.contains(n)] == sorted(set(HELD[a]) & set(HELD[b]))
        assert a.includes(b) == (set(HELD[a]) >= set(HELD[b]))


def test_within_holds_the_whole_interval() -> None:
    for low, high in itertools.combinations_with_replacement(NUMBERS, 2):
        assert all(tnum.within(low, high).contains(n) for n in range(low, high + 1))


@pytest.mark.parametrize("count", range(BITS))
def test_shifts(count: int) -> None:
    for a in TNUMS:
        for n in HELD[a]:
            assert tnum.shift_left(a, count).contains(n << count)
            assert tnum.shift_right(a, count).contains(n >> count)
            assert tnum.sign_extend(a, BITS).contains((n - 16 if n & 8 else n) & ALL)
