"""What ties numbers to each other: each is a part of one number that they have in common, at a distance from it.

    value  =  cut(common number + distance)

    whole           all 64 bits                             r2 = r1         r2 += 4
    zero-extended   the low 8, 16 or 32 bits                w2 = w1         r2 = r1; r2 <<= 32; r2 >>= 32
    sign-extended   the same, with their highest repeated   r2 = (s16) r1   r2 = r1; r2 <<= 32; r2 s>>= 32
    up              the low bits moved to the top           r2 = r1; r2 <<= 32

What a comparison teaches of one of them holds for the others as far as the low bits go that it has: sums and
differences carry from low bits to high ones only, so the low n bits of `number + distance` are those of the low n bits
of the number, plus the distance. Distances count modulo 2 ** bits, and are written as signed numbers.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from appliance.ebpf.isa.opcodes import AluOp
from appliance.verifier.domains import interval, scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.tnum import ALL, Tnum


class Form(Enum):
    """What becomes of the bits that are kept."""

    ZERO = "zero-extended"
    SIGN = "sign-extended"
    UP = "up"


class Cut(NamedTuple):
    """The low `bits` bits of a number, in that form."""

    bits: int
    form: Form


WHOLE = Cut(64, Form.ZERO)
WORD = Cut(32, Form.ZERO)
_CUTS = frozenset({8, 16, 32})  # what types of C have; others are rarely compared


class Link(NamedTuple):
    """The number with that name, plus the distance, cut."""

    name: int
    distance: int
    cut: Cut


def _link(name: int, distance: int, cut: Cut) -> Link:
    return Link(name, interval.signed(cut.bits, distance), cut)


def _fits(value: Scalar, cut: Cut) -> bool:
    """Whether the cut leaves the value as it is."""
    if cut.form is Form.ZERO:
        return value.whole.umax >> cut.bits == 0
    half = 1 << (cut.bits - 1)
    return cut.form is Form.SIGN and -half <= value.whole.smin and value.whole.smax < half


def recut(link: Link | None, value: Scalar, cut: Cut) -> Link | None:
    """The link of `cut(value)`; None if there is none that can be told. `link` is that of the value."""
    if link is None or _fits(value, cut):
        return link
    if link.cut.form is Form.UP or cut.bits > link.cut.bits:
        return None
    return _link(link.name, link.distance, cut)


def lowered(link: Link | None, cut: Cut) -> Link | None:
    """The link of a number that was up, and is shifted down to that form."""
    if link is None or link.cut != Cut(cut.bits, Form.UP):
        return None
    return link._replace(cut=cut)


def moved(link: Link | None, value: Scalar, distance: int, width: int) -> Link | None:
    """The link of `value + distance` in `width` bits, zero-extended; None if there is none that can be told."""
    if link is None or link.cut.form is Form.UP:
        return None
    cut, whole = link.cut, value.whole
    half = 1 << (cut.bits - 1)
    if cut.form is Form.ZERO and 0 <= whole.umin + distance <= whole.umax + distance < 1 << min(cut.bits, width):
        return _link(link.name, link.distance + distance, cut)
    if cut.form is Form.SIGN and width == 64 and -half <= whole.smin + distance <= whole.smax + distance < half:
        return _link(link.name, link.distance + distance, cut)
    if cut.bits >= width:
        return _link(link.name, link.distance + distance, Cut(width, Form.ZERO))
    return None


def computed(op: AluOp, width: int, link: Link | None, value: Scalar, by: Scalar) -> Link | None:
    """The link of `value op by` in `width` bits, if `by` is a constant; None if there is none that can be told."""
    number = by.constant
    if link is None or number is None:
        return None
    if op in (AluOp.ADD, AluOp.SUB):
        if width == 32:
            link, value = recut(link, value, WORD), scalar.truncate(value, 4)
        distance = interval.signed(width, number)
        return moved(link, value, distance if op is AluOp.ADD else -distance, width)
    if op is AluOp.AND:
        mask = number & ((1 << width) - 1)
        bits = mask.bit_length()
        return recut(link, value, Cut(bits, Form.ZERO)) if bits in _CUTS and mask == (1 << bits) - 1 else None
    bits = 64 - number % 64
    if width == 32 or bits not in _CUTS:
        return None
    if op is AluOp.LSH:
        return recut(link, value, Cut(bits, Form.UP))
    form = _DOWN.get(op)
    return None if form is None else lowered(link, Cut(bits, form))


_DOWN = {AluOp.RSH: Form.ZERO, AluOp.ARSH: Form.SIGN}


def implied(link: Link, value: Scalar, other: Link, old: Scalar) -> Scalar | None:
    """What is at the place of the link `other` to the same number, where `old` was known, now that `value` is known to
    be at the place of `link`. None if nothing can be there: then this is never reached."""
    if link == other:
        return scalar.meet(old, value)
    if other.cut.form is Form.UP:
        return old
    low = _lowest(link.cut, value)
    distance = other.distance - link.distance
    moved_low = scalar.operate(AluOp.ADD, 64, low, scalar.constant(distance)) if distance else low
    if other.cut.bits <= link.cut.bits:
        return scalar.meet(old, apply(other.cut, moved_low))
    moved_low = apply(Cut(link.cut.bits, Form.ZERO), moved_low)
    if _fits(old, Cut(link.cut.bits, Form.ZERO)):
        return scalar.meet(old, moved_low)
    upper = ALL & ~((1 << link.cut.bits) - 1)
    bits = Tnum(moved_low.bits.value, moved_low.bits.mask | upper)
    low_range = moved_low.low if link.cut.bits == 32 else scalar.UNKNOWN.low
    return scalar.meet(old, Scalar(bits, scalar.UNKNOWN.whole, low_range))


def _lowest(cut: Cut, value: Scalar) -> Scalar:
    """The bits that were cut, zero-extended, from what was made of them."""
    if cut.form is Form.UP:
        return scalar.operate(AluOp.RSH, 64, value, scalar.constant(64 - cut.bits))
    return apply(Cut(cut.bits, Form.ZERO), value)


def apply(cut: Cut, number: Scalar) -> Scalar:
    """Cut a number: zero- or sign-extended."""
    if cut.form is Form.SIGN:
        return scalar.sign_extend(number, cut.bits, 64)
    return number if cut.bits == 64 else scalar.truncate(number, cut.bits // 8)


def holds_as(link: Link, value: Scalar, cut: Cut) -> bool:
    """Whether a link of that cut holds, too: of a number so small, all bits and the low ones are the same."""
    if link.cut == cut:
        return True
    return link.cut.form is cut.form is Form.ZERO and link.cut.bits > cut.bits and _fits(value, cut)
