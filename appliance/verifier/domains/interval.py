"""Intervals of fixed-width numbers, unsigned and signed at once, for any width.

    Bounds(umin, umax, smin, smax)      the numbers x with umin <= x <= umax (unsigned) and smin <= x <= smax (signed)

Every operation first finds an interval of true integers that holds each result before it is cut to the width (a
*hull*), and `wrap` then says what remains of it after the cut. The shifts, division and remainder are those of
RFC 9669: shift counts are taken modulo the width, x / 0 is 0 and x % 0 is x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from appliance.ebpf.isa.opcodes import AluOp


class Bounds(NamedTuple):
    """Both intervals, ends included."""

    umin: int
    umax: int
    smin: int
    smax: int

    def includes(self, other: Bounds) -> bool:
        return (
            self.umin <= other.umin and other.umax <= self.umax and self.smin <= other.smin and other.smax <= self.smax
        )


def everything(width: int) -> Bounds:
    half = 1 << (width - 1)
    return Bounds(0, 2 * half - 1, -half, half - 1)


def signed(width: int, number: int) -> int:
    """The same bits read as two's complement."""
    half = 1 << (width - 1)
    return ((number + half) & (2 * half - 1)) - half


def join(a: Bounds, b: Bounds) -> Bounds:
    return Bounds(min(a.umin, b.umin), max(a.umax, b.umax), min(a.smin, b.smin), max(a.smax, b.smax))


def meet(width: int, a: Bounds, b: Bounds) -> Bounds | None:
    """The numbers in both, each interval sharpened by the other; None if there are none."""
    umin, umax = max(a.umin, b.umin), min(a.umax, b.umax)
    smin, smax = max(a.smin, b.smin), min(a.smax, b.smax)
    return settle(width, umin, umax, smin, smax)


def settle(width: int, umin: int, umax: int, smin: int, smax: int) -> Bounds | None:
    """Let the two intervals sharpen each other: they agree on numbers of one sign. None if nothing is left."""
    full = (1 << width) - 1
    half = 1 << (width - 1)
    if umax < half:
        smin, smax = max(smin, umin), min(smax, umax)
    elif umin >= half:
        smin, smax = max(smin, umin - full - 1), min(smax, umax - full - 1)
    if smin >= 0:
        umin, umax = max(umin, smin), min(umax, smax)
    elif smax < 0:
        umin, umax = max(umin, smin + full + 1), min(umax, smax + full + 1)
    elif smin <= smax and umin <= umax:
        # Both signs are possible: x is in [0, smax] or in [2**width + smin, 2**width - 1].
        if umin > smax:
            umin = max(umin, smin + full + 1)
        if umax < smin + full + 1:
            umax = min(umax, smax)
    if umin > umax or smin > smax:
        return None
    return Bounds(umin, umax, smin, smax)


def wrap(width: int, low: int, high: int) -> Bounds:
    """What the true integers from `low` to `high` become when cut to `width` bits."""
    full = (1 << width) - 1
    if high - low > full:
        return everything(width)
    umin, umax = low & full, high & full
    smin, smax = signed(width, low), signed(width, high)
    whole = everything(width)
    if umin > umax:
        umin, umax = whole.umin, whole.umax
    if smin > smax:
        smin, smax = whole.smin, whole.smax
    return Bounds(umin, umax, smin, smax)


def _both(width: int, unsigned_hull: tuple[int, int], signed_hull: tuple[int, int]) -> Bounds:
    """Two hulls of the same results."""
    result = meet(width, wrap(width, *unsigned_hull), wrap(width, *signed_hull))
    assert result is not None, "two hulls of the same non-empty set have something in common"
    return result


def add(width: int, a: Bounds, b: Bounds) -> Bounds:
    return _both(width, (a.umin + b.umin, a.umax + b.umax), (a.smin + b.smin, a.smax + b.smax))


def subtract(width: int, a: Bounds, b: Bounds) -> Bounds:
    return _both(width, (a.umin - b.umax, a.umax - b.umin), (a.smin - b.smax, a.smax - b.smin))


def multiply(width: int, a: Bounds, b: Bounds) -> Bounds:
    corners = (a.smin * b.smin, a.smin * b.smax, a.smax * b.smin, a.smax * b.smax)
    return _both(width, (a.umin * b.umin, a.umax * b.umax), (min(corners), max(corners)))


def divide(width: int, a: Bounds, b: Bounds) -> Bounds:
    if b.umax == 0:
        return Bounds(0, 0, 0, 0)
    low = a.umin // b.umax if b.umin else 0
    return wrap(width, low, a.umax // max(b.umin, 1))


def remainder(width: int, a: Bounds, b: Bounds) -> Bounds:
    if a.umax < b.umin or b.umax == 0:
        return a  # smaller than every divisor, or divided by zero: left as it is
    if a.umin == a.umax and b.umin == b.umax:
        return wrap(width, a.umin % b.umin, a.umin % b.umin)
    high = min(a.umax, b.umax - 1) if b.umin else a.umax
    return wrap(width, 0, high)


def divide_signed(width: int, a: Bounds, b: Bounds) -> Bounds:
    """The quotient is no farther from zero than the dividend."""
    most = max(-a.smin, a.smax, 0)
    if b.smin >= 1:
        return wrap(width, -(-min(a.smin, 0) // b.smin), max(a.smax, 0) // b.smin)
    return wrap(width, -most, most)


def remainder_signed(width: int, a: Bounds, b: Bounds) -> Bounds:
    """The remainder has the dividend's sign, and is smaller than the divisor unless that is zero."""
    low, high = min(a.smin, 0), max(a.smax, 0)
    if b.smin > 0 or b.smax < 0:
        most = max(abs(b.smin), abs(b.smax)) - 1
        low, high = max(low, -most), min(high, most)
    return wrap(width, low, high)


def and_(width: int, a: Bounds, b: Bounds) -> Bounds:
    if a.smin < 0 and b.smin < 0:
        # Both may be negative: no more than the greater, no less than all their common leading ones.
        low = -(1 << max((-a.smin - 1).bit_length(), (-b.smin - 1).bit_length()))
        return _both(width, (0, min(a.umax, b.umax)), (low, max(a.smax, b.smax)))
    return wrap(width, 0, min(a.umax, b.umax))


def or_(width: int, a: Bounds, b: Bounds) -> Bounds:
    return wrap(width, max(a.umin, b.umin), (1 << max(a.umax.bit_length(), b.umax.bit_length())) - 1)


def xor(width: int, a: Bounds, b: Bounds) -> Bounds:
    return wrap(width, 0, (1 << max(a.umax.bit_length(), b.umax.bit_length())) - 1)


def shift_counts(width: int, b: Bounds) -> tuple[int, int]:
    """The least and greatest number of places that a shift by `b` goes."""
    if b.umin // width != b.umax // width:
        return 0, width - 1
    return b.umin % width, b.umax % width


def shift_left(width: int, a: Bounds, b: Bounds) -> Bounds:
    least, most = shift_counts(width, b)
    corners = (a.smin << least, a.smin << most, a.smax << least, a.smax << most)
    return _both(width, (a.umin << least, a.umax << most), (min(corners), max(corners)))


def shift_right(width: int, a: Bounds, b: Bounds) -> Bounds:
    least, most = shift_counts(width, b)
    return wrap(width, a.umin >> most, a.umax >> least)


def shift_right_signed(width: int, a: Bounds, b: Bounds) -> Bounds:
    least, most = shift_counts(width, b)
    corners = (a.smin >> least, a.smin >> most, a.smax >> least, a.smax >> most)
    return wrap(width, min(corners), max(corners))


OPERATIONS: dict[AluOp, Callable[[int, Bounds, Bounds], Bounds]] = {
    AluOp.ADD: add,
    AluOp.SUB: subtract,
    AluOp.MUL: multiply,
    AluOp.DIV: divide,
    AluOp.SDIV: divide_signed,
    AluOp.OR: or_,
    AluOp.AND: and_,
    AluOp.LSH: shift_left,
    AluOp.RSH: shift_right,
    AluOp.MOD: remainder,
    AluOp.SMOD: remainder_signed,
    AluOp.XOR: xor,
    AluOp.ARSH: shift_right_signed,
}
