"""The contents of a set: keys of its maps, packed one behind the other, without an object for each.

elements ──(bulk: addresses without a mistake)─> keys
    └──────(one by one: all others)────────────> keys, or BadValue with a place
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    given = [element for element in elements if element]
    ranges = [element for element in given if "-" in element]
    split = [element.partition("/") for element in given if not ranges or "-" not in element]
    v6 = [parts for parts in split if ":" in parts[0]]
    v4 = [parts for parts in split if ":" not in parts[0]] if v6 else split
    v6_ranges = [element for element in ranges if ":" in element]
    v4_ranges = [element for element in ranges if ":" not in element]
    return (
        _pack(v4, AF_INET, 32) + _pack_ranges(v4_ranges, AF_INET, 32),
        _pack(v6, AF_INET6, 128) + _pack_ranges(v6_ranges, AF_INET6, 128),
    )


def _pack_ranges(ranges: list[str], family: int, bits: int) -> bytes:
    keys, size = bytearray(), bits // 8
    for element in ranges:
        first, last = (int.from_bytes(inet_pton(family, end.strip()), "big") for end in element.split("-"))
        if first > last:
            raise ValueError("a range is backwards")
        for low, length in prefixes(((first, last),), bits):
            keys += length.to_bytes(4, "little") + low.to_bytes(size, "big")
    return bytes(keys)


def _pack(split: list[tuple[str, str, str]], family: int, bits: int) -> bytes:
    lengths, host_bits, whole = _LENGTHS[bits], _HOST_BITS[bits], bits
    keys = [lengths[slash + length] + inet_pton(family, address) for address, slash, length in split]
    from_bytes = int.from_bytes
    if any(from_bytes(key[4:], "big") & host_bits[key[0]] for key in keys if key[0] != whole):
        raise ValueError("bits are set behind a prefix")
    return b"".join(keys)


# What stands behind an address in text, with the slash, to a key's beginning; and the bits behind a prefix.
_LENGTHS = {
    bits: {"": bits.to_bytes(4, "little")} | {f"/{length}": length.to_bytes(4, "little") for length in range(bits + 1)}
    for bits in (32, 128)
}
_HOST_BITS = {bits: [(1 << (bits - length)) - 1 for length in range(bits + 1)] for bits in (32, 128)}
