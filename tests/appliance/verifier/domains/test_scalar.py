"""Numbers of 64 bits: whatever is done to a set, its members are not lost."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ebpf.isa.opcodes import AluOp, Condition
from appliance.verifier.domains import comparisons, scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.tnum import ALL
from tests.appliance.verifier import concrete

# Numbers near the edges of every width, near each other, and anywhere.
EDGES = sorted(
    {(s * (1 << bits) + d) % (1 << 64) for bits in (0, 7, 8, 16, 31, 32, 63) for s in (1, -1) for d in (-1, 0, 1)}
)
numbers = st.sampled_from(EDGES) | st.integers(0, 255) | st.integers(0, (1 << 32) - 1) | st.integers(0, (1 << 64) - 1)
Members = list[int]


@st.composite
def sets(draw: st.DrawFn) -> tuple[Members, Scalar]:
    """Some numbers, and the smallest set that the domain has for them."""
    first = draw(numbers)
    near = st.integers(0, 300).map(lambda distance: (first + distance) % (1 << 64))
    members = [first, *draw(st.lists(near | numbers, max_size=2))]
    return members, functools.reduce(scalar.join, map(scalar.constant, members))


widths = st.sampled_from([32, 64])


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(list(AluOp)), widths, sets(), sets())
def test_arithmetic(op: AluOp, width: int, a: tuple[Members, Scalar], b: tuple[Members, Scalar]) -> None:
    result = scalar.operate(op, width, a[1], b[1])
    for x in a[0]:
        for y in b[0]:
            assert result.contains(concrete.operate(op, width, x, y))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(list(Condition)), widths, sets(), sets())
def test_comparisons(condition: Condition, width: int, a: tuple[Members, Scalar], b: tuple[Members, Scalar]) -> None:
    for x in a[0]:
        for y in b[0]:
            holds = concrete.compare(condition, width, x, y)
            refined = comparisons.refine(condition, holds, width, a[1], b[1])
            assert refined is not None
            assert refined[0].contains(x)
            assert refined[1].contains(y)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(Condition)), widths, numbers, numbers)
def test_constants_decide_comparisons(condition: Condition, width: int, x: int, y: int) -> None:
    holds = concrete.compare(condition, width, x, y)
    assert comparisons.refine(condition, not holds, width, scalar.constant(x), scalar.constant(y)) is None


@settings(max_examples=200, deadline=None)
@given(sets())
def test_casts(a: tuple[Members, Scalar]) -> None:
    for x in a[0]:
        assert a[1].contains(x)
        for size in (1, 2, 3, 4, 8):
            assert scalar.truncate(a[1], size).contains(x % (1 << (8 * size)))
        for bits in (8, 16, 32):
            for width in (32, 64):
                extended = concrete.signed(bits, x % (1 << bits)) % (1 << width)
                assert scalar.sign_extend(a[1], bits, width).contains(extended)
        for bits in (16, 32, 64):
            swapped = int.from_bytes((x % (1 << bits)).to_bytes(bits // 8, "little"), "big")
            assert scalar.swap_bytes(a[1], bits).contains(swapped)


@settings(max_examples=200, deadline=None)
@given(sets(), sets())
def test_join_meet_and_inclusion(a: tuple[Members, Scalar], b: tuple[Members, Scalar]) -> None:
    joined, met = scalar.join(a[1], b[1]), scalar.meet(a[1], b[1])
    assert joined.includes(a[1])
    assert joined.includes(b[1])
    for x in a[0] + b[0]:
        assert joined.contains(x)
        if a[1].contains(x) and b[1].contains(x):
            assert met is not None
            assert met.contains(x)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (scalar.constant(-1), "-1"),
        (scalar.between(0, 255), "0 to 255"),
        (scalar.between(-4, 4), "-4 to 4"),
        (scalar.UNKNOWN, "any number"),
        (scalar.between(1, (1 << 64) - 1), "1 to 18446744073709551615 unsigned"),
    ],
)
def test_words(made: Scalar, words: str) -> None:
    assert str(made) == words


def test_a_mask_bounds_and_a_shift_scales() -> None:
    masked = scalar.operate(AluOp.AND, 64, scalar.UNKNOWN, scalar.constant(15))
    assert masked == scalar.between(0, 15)
    shifted = scalar.operate(AluOp.LSH, 64, masked, scalar.constant(2))
    assert (shifted.whole.umin, shifted.whole.umax, shifted.bits.mask) == (0, 60, 0x3C)


def test_a_shift_up_and_down_extends_the_sign() -> None:
    word = scalar.between(0, (1 << 32) - 1)
    up = scalar.operate(AluOp.LSH, 64, word, scalar.constant(32))
    down = scalar.operate(AluOp.ARSH, 64, up, scalar.constant(32))
    assert (down.whole.smin, down.whole.smax) == (-(1 << 31), (1 << 31) - 1)


@pytest.mark.parametrize(("op", "low", "high"), [(AluOp.RSH, 0, 5), (AluOp.ARSH, -3, 5)])
def test_a_shift_up_and_down_keeps_the_bounds_of_the_low_half(op: AluOp, low: int, high: int) -> None:
    half = scalar.truncate(scalar.between(low, high), 4)
    number = scalar.meet(scalar.UNKNOWN, Scalar(half.bits._replace(mask=ALL), scalar.UNKNOWN.whole, half.low))
    assert number is not None
    for _ in range(2):
        number = scalar.operate(AluOp.LSH, 64, number, scalar.constant(32))
        number = scalar.operate(op, 64, number, scalar.constant(32))
    assert (number.whole.smin, number.whole.smax) == (low, high)
