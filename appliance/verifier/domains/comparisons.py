"""What a comparison teaches: the operands' values on the path where it holds.

`refine(condition, width, a, b)` gives both operands as they must be if `a condition b` holds in `width` bits, or None
if it cannot hold: then the path is never taken. The other path is the same question with the opposite condition.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from appliance.ebpf.isa.opcodes import Condition
from appliance.verifier.domains import interval, scalar, tnum
from appliance.verifier.domains.interval import Bounds
from appliance.verifier.domains.scalar import LOW, Scalar
from appliance.verifier.domains.tnum import ALL, Tnum

OPPOSITE: dict[Condition, Condition] = {
    Condition.EQ: Condition.NE,
    Condition.NE: Condition.EQ,
    Condition.GT: Condition.LE,
    Condition.LE: Condition.GT,
    Condition.GE: Condition.LT,
    Condition.LT: Condition.GE,
    Condition.SGT: Condition.SLE,
    Condition.SLE: Condition.SGT,
    Condition.SGE: Condition.SLT,
    Condition.SLT: Condition.SGE,
}

MIRRORED: dict[Condition, Condition] = {
    Condition.EQ: Condition.EQ,
    Condition.NE: Condition.NE,
    Condition.GT: Condition.LT,
    Condition.LT: Condition.GT,
    Condition.GE: Condition.LE,
    Condition.LE: Condition.GE,
    Condition.SGT: Condition.SLT,
    Condition.SLT: Condition.SGT,
    Condition.SGE: Condition.SLE,
    Condition.SLE: Condition.SGE,
}

_Pair = tuple[Bounds | None, Bounds | None]


def _less(width: int, a: Bounds, b: Bounds, gap: int) -> _Pair:
    """a + gap <= b, unsigned."""
    return (
        interval.settle(width, a.umin, min(a.umax, b.umax - gap), a.smin, a.smax),
        interval.settle(width, max(b.umin, a.umin + gap), b.umax, b.smin, b.smax),
    )


def _less_signed(width: int, a: Bounds, b: Bounds, gap: int) -> _Pair:
    """a + gap <= b, signed."""
    return (
        interval.settle(width, a.umin, a.umax, a.smin, min(a.smax, b.smax - gap)),
        interval.settle(width, b.umin, b.umax, max(b.smin, a.smin + gap), b.smax),
    )


def _differ(width: int, a: Bounds, b: Bounds) -> _Pair:
    return _without(width, a, b), _without(width, b, a)


def _without(width: int, a: Bounds, b: Bounds) -> Bounds | None:
    """`a` with the only member of `b` cut off its ends."""
    if b.umin != b.umax:
        return a
    signed = interval.signed(width, b.umin)  # b's signed range may not be settled yet
    return interval.settle(
        width,
        a.umin + (a.umin == b.umin),
        a.umax - (a.umax == b.umin),
        a.smin + (a.smin == signed),
        a.smax - (a.smax == signed),
    )


def _equal(width: int, a: Bounds, b: Bounds) -> _Pair:
    both = interval.meet(width, a, b)
    return both, both


def _swapped(pair: _Pair) -> _Pair:
    return pair[1], pair[0]


_RANGES: dict[Condition, Callable[[int, Bounds, Bounds], _Pair]] = {
    Condition.EQ: _equal,
    Condition.NE: _differ,
    Condition.LT: lambda width, a, b: _less(width, a, b, 1),
    Condition.LE: lambda width, a, b: _less(width, a, b, 0),
    Condition.GT: lambda width, a, b: _swapped(_less(width, b, a, 1)),
    Condition.GE: lambda width, a, b: _swapped(_less(width, b, a, 0)),
    Condition.SLT: lambda width, a, b: _less_signed(width, a, b, 1),
    Condition.SLE: lambda width, a, b: _less_signed(width, a, b, 0),
    Condition.SGT: lambda width, a, b: _swapped(_less_signed(width, b, a, 1)),
    Condition.SGE: lambda width, a, b: _swapped(_less_signed(width, b, a, 0)),
}


@lru_cache(1 << 14)
def refine(condition: Condition, holds: bool, width: int, a: Scalar, b: Scalar) -> tuple[Scalar, Scalar] | None:
    """Both operands if `a condition b` is true (`holds`) or false, in `width` bits; None if it can't be."""
    if condition is Condition.SET:
        return _refine_bits(holds, width, a, b)
    if not holds:
        condition = OPPOSITE[condition]
    if width == 64:
        wholes = _RANGES[condition](64, a.whole, b.whole)
        left = _sharpen(a, wholes[0], a.low, a.bits)
        right = _sharpen(b, wholes[1], b.low, b.bits)
        if condition is Condition.EQ and left is not None and right is not None:
            left = right = scalar.meet(left, right)
    else:
        lows = _RANGES[condition](32, a.low, b.low)
        left = _sharpen(a, a.whole, lows[0], a.bits)
        right = _sharpen(b, b.whole, lows[1], b.bits)
        if condition is Condition.EQ and left is not None and right is not None:
            common = tnum.meet(left.bits.keep(32), right.bits.keep(32))
            left, right = (common and _sharpen(x, x.whole, x.low, _with_low(common)) for x in (left, right))
    return None if left is None or right is None else (left, right)


def _sharpen(old: Scalar, whole: Bounds | None, low: Bounds | None, bits: Tnum) -> Scalar | None:
    """`old` with narrower parts."""
    if whole is None or low is None:
        return None
    return scalar.meet(old, Scalar(bits, whole, low))


def _with_low(bits: Tnum) -> Tnum:
    """Nothing known of the upper half."""
    return Tnum(bits.value, bits.mask | (ALL & ~LOW))


def _refine_bits(holds: bool, width: int, a: Scalar, b: Scalar) -> tuple[Scalar, Scalar] | None:
    """`a & b` is not zero (`holds`), or is."""
    full = ALL if width == 64 else LOW
    if holds:
        possible = (a.bits.value | a.bits.mask) & (b.bits.value | b.bits.mask) & full
        if not possible:
            return None
        if possible & (possible - 1) == 0:  # the one bit that both must have
            one = Tnum(possible, ALL & ~possible)
            return _both_sharpened(a, one, b, one)
        return a, b
    if a.bits.value & b.bits.value & full:
        return None
    clear_a, clear_b = b.bits.value & full, a.bits.value & full
    return _both_sharpened(a, Tnum(0, ALL & ~clear_a), b, Tnum(0, ALL & ~clear_b))


def _both_sharpened(a: Scalar, bits_a: Tnum, b: Scalar, bits_b: Tnum) -> tuple[Scalar, Scalar] | None:
    left = scalar.meet(a, Scalar(bits_a, scalar.UNKNOWN.whole, scalar.UNKNOWN.low))
    right = scalar.meet(b, Scalar(bits_b, scalar.UNKNOWN.whole, scalar.UNKNOWN.low))
    return None if left is None or right is None else (left, right)
