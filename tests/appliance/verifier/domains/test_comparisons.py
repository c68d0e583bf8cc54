"""What comparisons teach, against brute force: all ranges of three bits, and all tristate numbers of three bits."""

from __future__ import annotations

import itertools

import pytest

from appliance.ebpf.isa.opcodes import Condition
from appliance.verifier.domains import comparisons, interval, scalar
from appliance.verifier.domains.interval import Bounds
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.tnum import Tnum
from tests.appliance.verifier import concrete
from tests.appliance.verifier.domains.test_interval import ALL, NUMBERS, WIDTH, members

RANGES = {b: members(b) for b in ALL}
TNUMS = [Tnum(value, mask) for value in NUMBERS for mask in NUMBERS if not value & mask]


def with_bits(bits: Tnum) -> Scalar:
    """All that the bits say, and nothing else."""
    made = scalar.meet(scalar.UNKNOWN, Scalar(bits, scalar.UNKNOWN.whole, scalar.UNKNOWN.low))
    assert made is not None
    return made


def test_the_tables_are_total() -> None:
    assert set(comparisons._RANGES) == set(Condition) - {Condition.SET}
    assert set(comparisons.OPPOSITE) == set(comparisons.MIRRORED) == set(comparisons._RANGES)


@pytest.mark.parametrize("condition", comparisons._RANGES, ids=lambda condition: condition.name)
def test_opposite_and_mirrored_conditions(condition: Condition) -> None:
    for x, y in itertools.product(NUMBERS, NUMBERS):
        holds = concrete.compare(condition, WIDTH, x, y)
        assert concrete.compare(comparisons.OPPOSITE[condition], WIDTH, x, y) is not holds
        assert concrete.compare(comparisons.MIRRORED[condition], WIDTH, y, x) is holds


@pytest.mark.parametrize("condition", comparisons._RANGES, ids=lambda condition: condition.name)
def test_ranges_keep_every_pair_that_fits(condition: Condition) -> None:
    fits = {x: {y for y in NUMBERS if concrete.compare(condition, WIDTH, x, y)} for x in NUMBERS}
    held = {None: set[int](), **{b: set(inside) for b, inside in RANGES.items()}}
    for a, b in itertools.product(ALL, ALL):
        left, right = comparisons._RANGES[condition](WIDTH, a, b)
        assert held_by(left, held) >= {x for x in RANGES[a] if not fits[x].isdisjoint(held[b])}, (a, b)
        assert held_by(right, held) >= {y for y in RANGES[b] if any(y in fits[x] for x in RANGES[a])}, (a, b)


def held_by(found: Bounds | None, held: dict[Bounds | None, set[int]]) -> set[int]:
    return held[found] if found in held else set(members(found)) if found is not None else set()


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("condition", Condition, ids=lambda condition: condition.name)
def test_bits_keep_every_pair_that_fits_and_constants_decide(condition: Condition, width: int) -> None:
    sets = [(with_bits(bits), [n for n in NUMBERS if bits.contains(n)]) for bits in TNUMS]
    for (a, xs), (b, ys) in itertools.product(sets, sets):
        ways = {
            holds: [(x, y) for x in xs for y in ys if concrete.compare(condition, width, x, y) is holds]
            for holds in (True, False)
        }
        for holds, pairs in ways.items():
            refined = comparisons.refine(condition, holds, width, a, b)
            if refined is None:
                assert not pairs, (a, b)
                continue
            assert a.includes(refined[0])
            assert b.includes(refined[1])
            assert all(refined[0].contains(x) and refined[1].contains(y) for x, y in pairs), (a, b)
            assert pairs or len(xs) * len(ys) > 1, "constants decide"


def test_what_is_learned_by_ranges_is_no_more_than_was_known() -> None:
    for condition, a, b in itertools.product(comparisons._RANGES, ALL[::5], ALL[::7]):
        for before, after in zip((a, b), comparisons._RANGES[condition](WIDTH, a, b), strict=True):
            assert after is None or before.includes(after)
    assert interval.everything(WIDTH) in RANGES
