"""Strings of bits as 64-bit words, the first bit of the string being the highest bit of the first word.

In memory they are arrays of words in host order; addresses in keys and packets are bytes, the first bit the highest of
the first byte.
"""

from __future__ import annotations

from collections.abc import Iterator

from llvmlite import ir

from appliance.ir import I1, I8, I16, I32, I64, U32, U64, AnyType, Code, Field, Pointer, external

_TYPES: dict[int, AnyType] = {1: I8, 2: I16, 4: I32, 8: I64}


def _pieces(size: int) -> Iterator[tuple[int, int]]:
    """(offset, width) of the loads that cover `size` bytes and not one more: 13 is 8 and 4 and 1."""
    offset = 0
    while offset < size:
        width = max(width for width in _TYPES if width <= size - offset)
        yield offset, width
        offset += width


def load_bits(code: Code, data: Pointer, size: int, bits: Pointer) -> None:
    """Read `size` bytes at `data` into the words at `bits`; what is left of the last word is 0."""
    words: dict[int, U64] = {}
    for offset, width in _pieces(size):
        piece = code.resize(code.swap_bytes(code.load(code.at(data, offset), _TYPES[width])), I64)
        placed = code.shl(piece, 64 - 8 * (offset % 8 + width))
        words[offset // 8] = code.or_(words[offset // 8], placed) if offset % 8 else placed
    for number, word in words.items():
        code.store(word, code.at(bits, 8 * number), align=8)


def store_bits(code: Code, bits: Pointer, size: int, data: Pointer) -> None:
    """Write the first `size` bytes of the words at `bits` to `data`."""
    for offset, width in _pieces(size):
        word = code.load(code.at(bits, offset // 8 * 8), I64, align=8)
        piece = code.resize(code.shr(word, 64 - 8 * (offset % 8 + width)), _TYPES[width])
        code.store(code.swap_bytes(piece), code.at(data, offset))


def copy_prefix(code: Code, source: Pointer, words: int, length: U32, target: Pointer) -> None:
    """Copy the first `length` (I32) bits, and zeros behind them. Others may be reading the target, word by word."""
    for number, word in enumerate(_kept(code, source, words, length)):
        Field(code, code.at(target, 8 * number), I64, 8).store_monotonic(word)


def clear_behind(code: Code, bits: Pointer, words: int, length: U32) -> None:
    """Keep the first `length` (I32) bits of a string that is the caller's alone, and make zeros of those behind."""
    for number, word in enumerate(_kept(code, bits, words, length)):
        code.store(word, code.at(bits, 8 * number), align=8)


def _kept(code: Code, source: Pointer, words: int, length: U32) -> Iterator[U64]:
    for number in range(words):
        before = 64 * number
        inside = code.resize(code.sub(length, before), I64)  # meaningful if the prefix ends in this word
        ends_here = code.shl(ir.Constant(I64, -1), code.sub(ir.Constant(I64, 64), inside))
        mask = code.select(code.compare(length, ">=", before + 64), -1, ends_here)
        mask = code.select(code.compare(length, "<=", before), 0, mask)
        word = code.load(code.at(source, 8 * number), I64, align=8)
        yield code.and_(word, mask)


def common_length(code: Code, left: Pointer, right: Pointer, words: int) -> U32:
    """How many bits (I32) both strings begin with alike; 64 * words if they are equal. Others may be writing the left
    one, word by word."""
    count_zeros = external(code.module, "llvm.ctlz.i64", I64, I64, I1)
    common: U64 = ir.Constant(I64, 64 * words)
    for number in reversed(range(words)):
        one = Field(code, code.at(left, 8 * number), I64, 8).load_monotonic()
        other = code.load(code.at(right, 8 * number), I64, align=8)
        difference = code.xor(one, other)
        here = code.add(code.call(count_zeros, difference, 0), 64 * number)
        common = code.select(code.compare(difference, "!=", 0), here, common)
    return code.resize(common, I32)


def bit_at(code: Code, bits: Pointer, words: int, position: U32) -> U64:
    """The bit (I64, 0 or 1) at `position` (I32), which is below 64 * words."""
    wide = code.resize(position, I64)
    if words == 1:
        word = code.load(bits, I64, align=8)
    elif words == 2:
        first, second = (code.load(code.at(bits, offset), I64, align=8) for offset in (0, 8))
        word = code.select(code.compare(wide, "<", 64), first, second)
    else:
        word = code.load(code.at(bits, code.shl(code.shr(wide, 6), 3)), I64, align=8)
    return code.and_(code.shr(word, code.xor(code.and_(wide, 63), 63)), 1)


def first_bits(code: Code, bits: Pointer, count: int) -> U64:
    """The first `count` bits, 1 to 64, as a number (I64)."""
    return code.shr(code.load(bits, I64, align=8), 64 - count)
