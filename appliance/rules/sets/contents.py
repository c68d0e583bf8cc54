"""The contents of a set: keys of its maps, packed one behind the other, without an object for each.

elements ──(bulk: addresses without a mistake)─> keys
    └──────(one by one: all others)────────────> keys, or BadValue with a place
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from appliance.rules.ranges import prefixes
from appliance.rules.sets.elements import ElementType, Part
from appliance.rules.values import BadValue, SetType

Refuse = Callable[[int, BadValue], None]


@dataclass(frozen=True, slots=True)
class Contents:
    """Packed keys by part. The same key may be there more than once; it is one entry."""

    keys: Mapping[Part, bytes]

    def count(self, part: Part) -> int:
        """How many keys a part has, those counted twice that are there twice."""
        return len(self.keys[part]) // part.key_size


class Packer:
    """Packs elements of one type, as many at a time as whoever reads them has. For one thread."""

    def __init__(self, type_: ElementType) -> None:
        self._type = type_
        self._keys = {part: bytearray() for part in type_.parts}

    def add(self, elements: Sequence[Any], refuse: Refuse) -> None:
        """Take elements in; "" is none. `refuse` is told the number of each that is wrong, and why."""
        if self._type.types == (SetType.PREFIX,) and self._add_prefixes(elements):
            return
        for number, element in enumerate(elements):
            if element == "":
                continue
            try:
                self.put(self._type.keys(element))
            except BadValue as bad:
                refuse(number, bad)

    def put(self, keys: Iterable[tuple[Part, bytes]]) -> None:
        """Take in keys that somebody else has made."""
        for part, key in keys:
            self._keys[part] += key

    def contents(self) -> Contents:
        return Contents({part: bytes(keys) for part, keys in self._keys.items()})

    def _add_prefixes(self, elements: Sequence[str]) -> bool:
        """All at once, if each is text of a prefix or an address that is right; else nothing."""
        try:
            packed = pack_prefixes(elements)
        except (OSError, ValueError, KeyError, TypeError):
            return False
        for part, keys in zip(self._type.parts, packed, strict=True):
            self._keys[part] += keys
        return True


def pack_prefixes(elements: Iterable[str]) -> tuple[bytes, bytes]:
    """The keys of IPv4 and of IPv6 prefixes, addresses and ranges; "" is none. Raises KeyError, OSError, TypeError or
    ValueError if one is wrong."""
    given = list(filter(None, elements))
    ranges, single = _apart(given, "-")
    (v6, v4), (v6_ranges, v4_ranges) = _apart(single, ":"), _apart(ranges, ":")
    return (
        _pack(v4, AF_INET, 32) + _pack_ranges(v4_ranges, AF_INET, 32),
        _pack(v6, AF_INET6, 128) + _pack_ranges(v6_ranges, AF_INET6, 128),
    )


def _apart(elements: list[str], mark: str) -> tuple[list[str], list[str]]:
    """Those that have the mark, and those that haven't: nearly always all of them or none."""
    if mark not in "\n".join(elements):
        return [], elements
    having = [element for element in elements if mark in element]
    return having, [] if len(having) == len(elements) else [element for element in elements if mark not in element]


def _pack_ranges(ranges: list[str], family: int, bits: int) -> bytes:
    keys, size = bytearray(), bits // 8
    for element in ranges:
        first, last = (int.from_bytes(inet_pton(family, end.strip()), "big") for end in element.split("-"))
        if first > last:
            raise ValueError("a range is backwards")
        for low, length in prefixes(((first, last),), bits):
            keys += length.to_bytes(4, "little") + low.to_bytes(size, "big")
    return bytes(keys)


def _pack(elements: list[str], family: int, bits: int) -> bytes:
    """All at once, by functions that run without Python's loop: of a million elements, each step in it takes 50 ms."""
    if not elements:
        return b""
    text = "\n".join(elements)
    if text.count("/") != len(elements):
        text = "\n".join(element if "/" in element else f"{element}/{bits}" for element in elements)
    words = text.replace("/", "\n/").split("\n")  # an address, the slash with the length, and so on
    if len(words) != 2 * len(elements):
        raise ValueError("an element is no prefix")
    lengths = words[1::2]
    heads, addresses = map(_LENGTHS[bits].__getitem__, lengths), map(inet_pton, repeat(family), words[::2])
    keys = b"".join(chain.from_iterable(zip(heads, addresses, strict=True)))
    host_bits = b"".join(map(_HOST_BITS[bits].__getitem__, lengths))
    if int.from_bytes(keys, "big") & int.from_bytes(host_bits, "big"):
        raise ValueError("bits are set behind a prefix")
    return keys


# By what stands behind an address in text, with the slash: a key's beginning; and a mask of a key's bits behind it.
_LENGTHS = {bits: {f"/{length}": length.to_bytes(4, "little") for length in range(bits + 1)} for bits in (32, 128)}
_HOST_BITS = {
    bits: {
        f"/{length}": bytes(4) + ((1 << (bits - length)) - 1).to_bytes(bits // 8, "big") for length in range(bits + 1)
    }
    for bits in (32, 128)
}
