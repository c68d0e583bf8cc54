"""Tristate numbers: which bits of a 64-bit value are known, and what they are.

    value   ....10..        a bit that is set in `mask` is unknown, and clear in `value`
    mask    00000011        this one is the set {8, 9, 10, 11}

Sources: the Linux kernel's tnum; "Sound, Precise, and Fast Abstract Interpretation with Tristate Numbers"
(Vishwanathan et al., CGO 2022), whose proof the additions and the multiplication here lean upon.
"""

from __future__ import annotations

from typing import NamedTuple

ALL = (1 << 64) - 1


class Tnum(NamedTuple):
    """The numbers x with x & ~mask == value."""

    value: int
    mask: int

    def contains(self, number: int) -> bool:
        return number & ~self.mask == self.value

    def includes(self, other: Tnum) -> bool:
        """Every member of `other` is a member of this."""
        return not other.mask & ~self.mask and other.value & ~self.mask == self.value

    def keep(self, bits: int) -> Tnum:
        """The low `bits` bits, zero-extended."""
        low = (1 << bits) - 1
        return Tnum(self.value & low, self.mask & low)


UNKNOWN = Tnum(0, ALL)


def constant(number: int) -> Tnum:
    return Tnum(number & ALL, 0)


def within(low: int, high: int) -> Tnum:
    """The smallest tnum that has every number from `low` to `high` (unsigned): their common leading bits."""
    free = (1 << (low ^ high).bit_length()) - 1
    return Tnum(low & ~free, free)


def join(a: Tnum, b: Tnum) -> Tnum:
    unknown = a.mask | b.mask | (a.value ^ b.value)
    return Tnum(a.value & ~unknown, unknown)


def meet(a: Tnum, b: Tnum) -> Tnum | None:
    """The numbers in both; None if there are none."""
    if (a.value ^ b.value) & ~a.mask & ~b.mask:
        return None
    mask = a.mask & b.mask
    return Tnum((a.value | b.value) & ~mask, mask)


def add(a: Tnum, b: Tnum) -> Tnum:
    """A sum's bit is unknown where an operand's is, or where carries differ between the extremes."""
    low = a.value + b.value
    unknown = ((low + a.mask + b.mask) ^ low) | a.mask | b.mask
    return Tnum(low & ~unknown & ALL, unknown & ALL)


def subtract(a: Tnum, b: Tnum) -> Tnum:
    difference = (a.value - b.value) & ALL
    borrows = (difference + a.mask) ^ (difference - b.mask)
    unknown = (borrows | a.mask | b.mask) & ALL
    return Tnum(difference & ~unknown, unknown)


def and_(a: Tnum, b: Tnum) -> Tnum:
    ones = a.value & b.value
    return Tnum(ones, (a.value | a.mask) & (b.value | b.mask) & ~ones)


def or_(a: Tnum, b: Tnum) -> Tnum:
    ones = a.value | b.value
    return Tnum(ones, (a.mask | b.mask) & ~ones)


def xor(a: Tnum, b: Tnum) -> Tnum:
    unknown = a.mask | b.mask
    return Tnum((a.value ^ b.value) & ~unknown, unknown)


def multiply(a: Tnum, b: Tnum) -> Tnum:
    """Long multiplication: the known parts exactly, and for each bit of `a` what it may add beyond them."""
    total = constant(a.value * b.value)
    noise = Tnum(0, 0)
    value, mask = a.value, a.mask
    while value or mask:
        if value & 1:
            noise = add(noise, Tnum(0, b.mask))
        elif mask & 1:
            noise = add(noise, Tnum(0, b.value | b.mask))
        value, mask = value >> 1, mask >> 1
        b = shift_left(b, 1)
    return add(total, noise)


def shift_left(a: Tnum, count: int) -> Tnum:
    return Tnum((a.value << count) & ALL, (a.mask << count) & ALL)


def shift_right(a: Tnum, count: int) -> Tnum:
    return Tnum(a.value >> count, a.mask >> count)


def sign_extend(a: Tnum, bits: int) -> Tnum:
    """The low `bits` bits, the highest of them repeated up to bit 63: unknown if that bit is."""
    low, sign = (1 << bits) - 1, 1 << (bits - 1)
    upper = ALL & ~low
    value, mask = a.value & low, a.mask & low
    if mask & sign:
        return Tnum(value, mask | upper)
    return Tnum(value | upper if value & sign else value, mask)
