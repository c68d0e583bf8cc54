"""Damage done to object files: bytes changed where it hurts, parts cut out, doubled, moved, or cut short."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

_INTERESTING = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFF0, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WIDE = (*_INTERESTING, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_HEADER, _SECTION_HEADER = 64, 64


def mutate(data: bytes, source: random.Random) -> bytes:
    """`data` with one to eight wounds."""
    damaged = bytearray(data)
    for _ in range(source.choice((1, 1, 1, 2, 3, 8))):
        if damaged:
            source.choice(_WOUNDS)(damaged, source)
    return bytes(damaged)


def _place(data: bytearray, source: random.Random) -> int:
    """Where to hurt: mostly in headers, and at the start of sections, where the counts and offsets are."""
    kind = source.random()
    if kind < 0.2 or len(data) < _HEADER:
        return source.randrange(min(_HEADER, len(data)))
    start, count = int.from_bytes(data[40:48], "little"), int.from_bytes(data[60:62], "little")
    if kind < 0.7 and 0 < start < len(data) and count:
        header = start + _SECTION_HEADER * source.randrange(count)
        if kind < 0.45 or header + 32 > len(data):
            return min(header + source.randrange(_SECTION_HEADER), len(data) - 1)
        section = int.from_bytes(data[header + 24 : header + 32], "little")
        return min(section + source.randrange(64), len(data) - 1)
    return source.randrange(len(data))


def _flip(data: bytearray, source: random.Random) -> None:
    data[_place(data, source)] ^= 1 << source.randrange(8)


def _number(data: bytearray, source: random.Random) -> None:
    size = source.choice((1, 2, 4, 8))
    at = _place(data, source) // size * size
    value = source.choice(_WIDE) & (1 << 8 * size) - 1
    data[at : at + size] = value.to_bytes(size, "little")


def _near(data: bytearray, source: random.Random) -> None:
    """A number a little too large or too small."""
    at = _place(data, source) // 4 * 4
    if at + 4 <= len(data):
        (value,) = struct.unpack_from("<I", data, at)
        struct.pack_into("<I", data, at, value + source.choice((-8, -1, 1, 4, 8, 16, 4096)) & 0xFFFFFFFF)


def _truncate(data: bytearray, source: random.Random) -> None:
    del data[source.randrange(len(data)) :]


def _cut(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data))
    del data[at : at + source.choice((1, 4, 8, 24, 64))]


def _double(data: bytearray, source: random.Random) -> None:
    at, size = source.randrange(len(data)), source.choice((1, 8, 12, 16, 24, 64))
    data[at:at] = data[at : at + size]


def _move(data: bytearray, source: random.Random) -> None:
    """One piece written over another: structures that refer to the wrong things."""
    size = source.choice((4, 8, 12, 16, 24, 64))
    origin, target = _place(data, source), _place(data, source)
    piece = data[origin : origin + size]
    data[target : target + len(piece)] = piece


_WOUNDS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _number, _near) * 3,
    _truncate,
    _cut,
    _double,
    _move,
)
