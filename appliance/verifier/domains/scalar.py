"""What is known of a number in a register: its bits, its range, and the range of its low half.

    Scalar.bits    Tnum       known bits of all 64
    Scalar.whole   Bounds     64-bit range, unsigned and signed
    Scalar.low     Bounds     32-bit range of the low half, unsigned and signed: what 32-bit instructions see

The three sharpen each other (`_reduce`). Scalars are immutable and compare by value, and every operation is a pure
function of its operands, so results are remembered: a program has few distinct ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from appliance.ebpf.isa.opcodes import AluOp
from appliance.verifier.domains import interval, tnum
from appliance.verifier.domains.interval import Bounds
from appliance.verifier.domains.tnum import ALL, Tnum

LOW = (1 << 32) - 1
_REMEMBERED = 1 << 14
_ALL32 = interval.everything(32)
_ALL64 = interval.everything(64)


class Scalar(NamedTuple):
    """A set of 64-bit numbers."""

    bits: Tnum
    whole: Bounds
    low: Bounds

    @property
    def constant(self) -> int | None:
        """The only member, unsigned; None if there are several."""
        return None if self.bits.mask else self.bits.value

    def contains(self, number: int) -> bool:
        """Whether the 64-bit number (unsigned) may be in the set."""
        half = number & LOW
        return (
            self.bits.contains(number)
            and self.whole.umin <= number <= self.whole.umax
            and self.whole.smin <= interval.signed(64, number) <= self.whole.smax
            and self.low.umin <= half <= self.low.umax
            and self.low.smin <= interval.signed(32, half) <= self.low.smax
        )

    def includes(self, other: Scalar) -> bool:
        """Every member of `other` is a member of this."""
        return self is other or (
            self.whole.includes(other.whole) and self.low.includes(other.low) and self.bits.includes(other.bits)
        )

    def __str__(self) -> str:
        return describe(self)


UNKNOWN = Scalar(tnum.UNKNOWN, _ALL64, _ALL32)


def _reduce(bits: Tnum, whole: Bounds | None, low: Bounds | None) -> Scalar | None:
    """Let bits, range and low range sharpen each other until nothing changes. None if nothing is left."""
    while True:
        before = (bits, whole, low)
        whole = whole and _meet_bits(64, whole, bits)
        low = low and _meet_bits(32, low, bits.keep(32))
        if whole is None or low is None:
            return None
        if whole.umin >> 32 == whole.umax >> 32:
            upper = whole.umin & ~LOW
            low = interval.meet(32, low, interval.wrap(32, whole.umin & LOW, whole.umax & LOW))
            whole = low and interval.meet(64, whole, interval.wrap(64, upper + low.umin, upper + low.umax))
        elif whole.smin >= _ALL32.smin and whole.smax <= _ALL32.smax:
            low = interval.meet(32, low, interval.wrap(32, whole.smin, whole.smax))
            whole = low and interval.meet(64, whole, interval.wrap(64, low.smin, low.smax))
        if whole is None or low is None:
            return None
        sharper = tnum.meet(bits, tnum.within(whole.umin, whole.umax))
        half = tnum.within(low.umin, low.umax)
        sharper = sharper and tnum.meet(sharper, Tnum(half.value, half.mask | (ALL & ~LOW)))
        if sharper is None:
            return None
        bits = sharper
        if before == (bits, whole, low):
            return Scalar(bits, whole, low)


def _meet_bits(width: int, range_: Bounds, bits: Tnum) -> Bounds | None:
    """The range, cut to what the known bits allow."""
    sign = 1 << (width - 1)
    smin = interval.signed(width, bits.value | (bits.mask & sign))
    smax = interval.signed(width, bits.value | (bits.mask & ~sign))
    return interval.settle(
        width,
        max(range_.umin, bits.value),
        min(range_.umax, bits.value | bits.mask),
        max(range_.smin, smin),
        min(range_.smax, smax),
    )


def _sound(bits: Tnum, whole: Bounds, low: Bounds) -> Scalar:
    """Reduce what holds at least one number."""
    result = _reduce(bits, whole, low)
    assert result is not None, "an operation on non-empty sets has a result"
    return result


@lru_cache(_REMEMBERED)
def constant(number: int) -> Scalar:
    """Exactly that number, signed or unsigned."""
    number &= ALL
    half = number & LOW
    s64, s32 = interval.signed(64, number), interval.signed(32, half)
    return Scalar(Tnum(number, 0), Bounds(number, number, s64, s64), Bounds(half, half, s32, s32))


@lru_cache(_REMEMBERED)
def between(low: int, high: int) -> Scalar:
    """Every number from `low` to `high`, which are both signed or both unsigned."""
    return _sound(tnum.UNKNOWN, interval.wrap(64, low, high), _ALL32)


def unknown(size: int) -> Scalar:
    """Any number of `size` bytes, zero-extended."""
    return UNKNOWN if size == 8 else between(0, (1 << (8 * size)) - 1)


@lru_cache(_REMEMBERED)
def join(a: Scalar, b: Scalar) -> Scalar:
    """Both sets, and as little else as can be said."""
    if a == b:
        return a
    return _sound(tnum.join(a.bits, b.bits), interval.join(a.whole, b.whole), interval.join(a.low, b.low))


@lru_cache(_REMEMBERED)
def meet(a: Scalar, b: Scalar) -> Scalar | None:
    """What is in both sets; None if nothing is."""
    bits = tnum.meet(a.bits, b.bits)
    if bits is None:
        return None
    return _reduce(bits, interval.meet(64, a.whole, b.whole), interval.meet(32, a.low, b.low))


def _operate_on_bits(op: AluOp, width: int, a: Scalar, b: Scalar) -> Tnum:
    """The known bits of `a op b` in `width` bits, both operands already cut to the width."""
    match op:
        case AluOp.ADD:
            result = tnum.add(a.bits, b.bits)
        case AluOp.SUB:
            result = tnum.subtract(a.bits, b.bits)
        case AluOp.MUL:
            result = tnum.multiply(a.bits, b.bits)
        case AluOp.AND:
            result = tnum.and_(a.bits, b.bits)
        case AluOp.OR:
            result = tnum.or_(a.bits, b.bits)
        case AluOp.XOR:
            result = tnum.xor(a.bits, b.bits)
        case AluOp.LSH | AluOp.RSH | AluOp.ARSH if b.constant is not None:
            count = b.constant % width
            if op is AluOp.LSH:
                result = tnum.shift_left(a.bits, count)
            elif op is AluOp.RSH:
                result = tnum.shift_right(a.bits, count)
            else:
                extended = tnum.sign_extend(a.bits, width)
                result = tnum.sign_extend(tnum.shift_right(extended, count), 64 - count)
        case AluOp.MOD if b.constant and b.constant & (b.constant - 1) == 0:
            result = tnum.and_(a.bits, tnum.constant(b.constant - 1))
        case _:
            result = tnum.UNKNOWN
    return result.keep(width)


# The low half of these results depends on the low halves of the operands alone.
_LOW_STAYS_LOW = frozenset({AluOp.ADD, AluOp.SUB, AluOp.MUL, AluOp.AND, AluOp.OR, AluOp.XOR})


@lru_cache(_REMEMBERED)
def operate(op: AluOp, width: int, a: Scalar, b: Scalar) -> Scalar:
    """`a op b` in `width` bits (32 or 64); a 32-bit result is zero-extended."""
    operation = interval.OPERATIONS[op]
    if width == 32:
        a, b = truncate(a, 4), truncate(b, 4)
        low = operation(32, a.low, b.low)
        return _sound(_operate_on_bits(op, 32, a, b), interval.wrap(64, low.umin, low.umax), low)
    whole = operation(64, a.whole, b.whole)
    if op is AluOp.LSH and b.constant is not None and b.constant % 64 >= 32:
        whole = _low_half_up(a, b)
    half = operation(32, a.low, b.low) if op in _LOW_STAYS_LOW else _ALL32
    return _sound(_operate_on_bits(op, 64, a, b), whole, half)


def _low_half_up(a: Scalar, by: Scalar) -> Bounds:
    """A shift that leaves nothing of the upper half: whatever that is, so zeros will do, or copies of the sign."""
    halves = (truncate(a, 4), sign_extend(a, 32, 64))
    unsigned, signed = (interval.shift_left(64, half.whole, by.whole) for half in halves)
    both = interval.meet(64, unsigned, signed)
    assert both is not None, "two hulls of the same non-empty set have something in common"
    return both


def negate(width: int, a: Scalar) -> Scalar:
    return operate(AluOp.SUB, width, constant(0), a)


@lru_cache(_REMEMBERED)
def truncate(a: Scalar, size: int) -> Scalar:
    """The low `size` bytes, zero-extended."""
    limit = (1 << (8 * size)) - 1
    if a.whole.umax <= limit:
        return a
    if size == 4:
        return _sound(a.bits.keep(32), interval.wrap(64, a.low.umin, a.low.umax), a.low)
    return _sound(a.bits.keep(8 * size), interval.wrap(64, 0, limit), _ALL32)


@lru_cache(_REMEMBERED)
def sign_extend(a: Scalar, bits: int, width: int) -> Scalar:
    """The low `bits` bits, sign-extended to `width` bits, the rest zero."""
    half = 1 << (bits - 1)
    if bits == 32:
        whole = interval.wrap(64, a.low.smin, a.low.smax)
    elif -half <= a.whole.smin and a.whole.smax < half:
        whole = a.whole
    else:
        whole = interval.wrap(64, -half, half - 1)
    extended = _sound(tnum.sign_extend(a.bits, bits), whole, _ALL32)
    return truncate(extended, width // 8)


@lru_cache(_REMEMBERED)
def swap_bytes(a: Scalar, bits: int) -> Scalar:
    """The low `bits` bits with their bytes in the opposite order, zero-extended."""
    size = bits // 8
    low = a.bits.keep(bits)
    value, mask = (int.from_bytes(part.to_bytes(size, "little"), "big") for part in low)
    return _sound(Tnum(value, mask), interval.wrap(64, 0, (1 << bits) - 1), _ALL32)


def extract(a: Scalar, skip: int, size: int) -> Scalar:
    """`size` bytes of the number as it lies in memory (little endian), from byte `skip` on."""
    return truncate(operate(AluOp.RSH, 64, a, constant(8 * skip)) if skip else a, size)


def describe(a: Scalar) -> str:
    """In words, for messages: the narrowest thing that can be said."""
    if a.constant is not None:
        return str(a.whole.smin)
    if a.whole.smin > _ALL64.smin or a.whole.smax < _ALL64.smax:
        text = f"{a.whole.smin} to {a.whole.smax}"
    elif a.whole.umax < ALL or a.whole.umin > 0:
        text = f"{a.whole.umin} to {a.whole.umax} unsigned"
    else:
        text = "any number"
    known = ALL & ~a.bits.mask & ~(ALL << a.whole.umax.bit_length())
    return f"{text} (bits {a.bits.value:#x}, unknown {a.bits.mask:#x})" if known and text == "any number" else text
