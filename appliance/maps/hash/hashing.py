"""Keys as 64-bit words: hashing and comparing them, unrolled for the size that a map declares.

The hash folds 128-bit products of words with secret seeds (the multiply-and-fold family of hashes: wyhash, folded
multiply). The seeds are random for each map, so that nobody outside can choose keys that fall into one bucket.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from llvmlite import ir

from appliance.ir import I8, I16, I32, I64, I128, U1, U64, AnyType, Code, Pointer, external

CHAINS = 3
SEEDS = CHAINS + 1  # 64-bit words
UNROLLED = 64  # bytes of a key that are compared in line


def key_words(code: Code, key: Pointer, size: int) -> list[U64]:
    """The `size` bytes at `key` as words: the last one overlaps the one before it rather than read beyond the end."""
    if size < 8:
        return [_short_word(code, key, size)]
    offsets = [*range(0, size - 7, 8), *([size - 8] if size % 8 else [])]
    return [code.load(code.at(key, offset), I64) for offset in offsets]


def _short_word(code: Code, key: Pointer, size: int) -> U64:
    """1 to 7 bytes in one word, from one or two loads: two of 4 bytes overlap, as two of 2, or 2 and 1."""
    width = 4 if size >= 4 else 2 if size >= 2 else 1
    types: dict[int, AnyType] = {1: I8, 2: I16, 4: I32}
    type_ = types[width]
    low = code.resize(code.load(key, type_), I64)
    if size == width:
        return low
    high = code.resize(code.load(code.at(key, size - width), type_), I64)
    return code.or_(low, code.shl(high, 8 * width))


def hash_words(code: Code, words: Sequence[U64], seeds: Sequence[U64]) -> U64:
    """64 well-mixed bits of the words; all keys of a map have the same number of words.

    Pairs of words go into three chains in turn, so that a processor multiplies for all of them at once:

        seed 0 ── word 0, word 1 ── word 6, word 7 ── … ──┐
        seed 2 ── word 4, word 5 ── … ────────────────── xor ──┐
        seed 1 ── word 2, word 3 ── … ─────────────────────────┴── hash
    """
    chains = list(seeds[:CHAINS])
    zero = ir.Constant(I64, 0)
    for number, (first, second) in enumerate(zip_longest(words[::2], words[1::2], fillvalue=zero)):
        chain = number % CHAINS
        chains[chain] = _fold(code, code.xor(first, seeds[CHAINS]), code.xor(second, chains[chain]))
    return _fold(code, code.xor(chains[0], chains[2]), chains[1])


def _fold(code: Code, left: U64, right: U64) -> U64:
    """Both halves of the product, xored."""
    product = code.mul(code.resize(left, I128), code.resize(right, I128))
    return code.xor(code.resize(product, I64), code.resize(code.shr(product, 64), I64))


def same_key(code: Code, left: Pointer, right: Pointer, size: int) -> U1:
    """Whether the `size` bytes at both pointers are equal."""
    if size > UNROLLED:
        compare = external(code.module, "memcmp", I32, left.type, right.type, I64)
        return code.compare(code.call(compare, left, right, size), "==", 0)
    difference: U64 = ir.Constant(I64, 0)
    for one, other in zip(key_words(code, left, size), key_words(code, right, size), strict=True):
        difference = code.or_(difference, code.xor(one, other))
    return code.compare(difference, "==", 0)
