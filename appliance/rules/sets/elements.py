"""What the elements of a set are, and which keys of which maps each becomes.

A set has one LPM trie, or two where its elements are of both IP families. The data of a key is the element's value in
network order; a range becomes the fewest prefixes that cover it.

    prefix          in4_NAME    ┌──────────────┬──────────┐      in6_NAME    … ┌─────────────┐
                                │ length   u32 │ IPv4   4 │                    │ IPv6     16 │
    port            port_NAME   │              │ port   2 │                    └─────────────┘
    mac             mac_NAME    │              │ MAC    6 │
    number          number_NAME │              │ value  4 │
                                └──────────────┴──────────┘

A combination has one value of each of its types, as nftables' concatenations do; they stand one behind the other, and
since a trie knows prefixes of the whole alone, the one that may be a range stands last:

    [prefix, port]  tuple4_NAME ┌──────────────┬────────┬──────────┐    192.0.2.0/24 . 80-81 is
                                │ length   u32 │ port 2 │ IPv4   4 │    40, 80, 192.0.2.0 and
                                └──────────────┴────────┴──────────┘    40, 81, 192.0.2.0
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from appliance.rules.ranges import Range, prefixes
from appliance.rules.reading import read_addresses, read_range
from appliance.rules.values import ELEMENT_KINDS, AddressKind, BadValue, SetType

PRESENT = b"\1\0\0\0"  # the value of every entry
MOST_KEYS = 7 << 20  # in a map: two nodes of 64 bytes for each IPv6 prefix stay below maps.checks.MEMORY_LIMIT
MOST_TYPES = 4  # in a combination
MOST_COMBINED = 4096  # keys that one element's ranges in exact places may become

_WIDTHS = {SetType.PORT: 2, SetType.MAC: 6, SetType.NUMBER: 4}
_ADDRESS_WIDTHS = {4: 4, 6: 16}
_LENGTH = struct.Struct("=I")
_MAP_KINDS = {SetType.PREFIX: "in", SetType.PORT: "port", SetType.MAC: "mac", SetType.NUMBER: "number"}


@dataclass(frozen=True, slots=True)
class Part:
    """One map of a set. `family` is 4 or 6, or 0 if no address is in it; `widths` are the bytes of each value, in the
    order of the key."""

    family: int
    widths: tuple[int, ...]

    @property
    def key_size(self) -> int:
        """Bytes of a key: its length, and the data."""
        return _LENGTH.size + sum(self.widths)


@dataclass(frozen=True)
class ElementType:
    """What each element of a set is: a value of one type, or of each of several."""

    types: tuple[SetType, ...]

    def __str__(self) -> str:
        return " . ".join(each.value for each in self.types)

    @property
    def is_combination(self) -> bool:
        return len(self.types) > 1

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The numbers of the values in the order of the key: the one that may be a range is the last."""
        last = self.types.index(SetType.PREFIX) if SetType.PREFIX in self.types else len(self.types) - 1
        return (*(number for number in range(len(self.types)) if number != last), last)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The maps of such a set."""
        families = (4, 6) if SetType.PREFIX in self.types else (0,)
        return tuple(
            Part(family, tuple(_WIDTHS.get(self.types[n]) or _ADDRESS_WIDTHS[family] for n in self.order))
            for family in families
        )

    def map_name(self, part: Part, name: str) -> str:
        """What the map of that part is called in the object, for a set of that name."""
        kind = "tuple" if self.is_combination else _MAP_KINDS[self.types[0]]
        return f"{kind}{part.family or ''}_{name.translate(_AS_IDENTIFIER)}"

    def keys(self, element: Any) -> Iterator[tuple[Part, bytes]]:
        """The keys of one element, as a document or a list has it. Raises BadValue."""
        values = [_read(type_, value) for type_, value in zip(self.types, self._values(element), strict=True)]
        families = {family for family, _ in values if family}
        if len(families) > 1:
            raise BadValue(f"{_shown(element)} has addresses of both families", "no packet has")
        part = next(part for part in self.parts if part.family in (families or {0}))
        *exact, last = (values[number][1] for number in self.order)
        self._check_combined(element, exact)
        *before, width = part.widths
        for numbers in itertools.product(*(range(low, high + 1) for low, high in exact)):
            data = b"".join(n.to_bytes(size, "big") for n, size in zip(numbers, before, strict=True))
            for low, length in prefixes((last,), 8 * width):
                yield part, _LENGTH.pack(8 * len(data) + length) + data + low.to_bytes(width, "big")

    def _values(self, element: Any) -> Sequence[Any]:
        """The values of an element: a list in a document; in text with ` . ` between them, as nft(8) has it, or `,` as
        ipset(8)."""
        if not self.is_combination:
            return (element,)
        values = element
        if isinstance(element, str):
            values = [value.strip() for value in element.split(" . " if " . " in element else ",")]
        if not isinstance(values, list) or len(values) != len(self.types):
            raise BadValue(f"{_shown(element)} isn't {self}", f"an element has {len(self.types)} values: {self}")
        return values

    def _check_combined(self, element: Any, exact: Sequence[Range]) -> None:
        number = math.prod(high - low + 1 for low, high in exact)
        if number > MOST_COMBINED:
            hint = f"only the {self.types[self.order[-1]].value} of a {self} may be any range; of others up to"
            raise BadValue(f"{_shown(element)} stands for {number} combinations", f"{hint} {MOST_COMBINED} together")


# As C has names: letters and digits stay, and `_` begins what stands for another character.
_AS_IDENTIFIER = str.maketrans({"_": "__", "-": "_D", ".": "_P"})


def _read(type_: SetType, value: Any) -> tuple[int, Range]:
    """The family, 0 for what is no address, and the range of a value. Raises BadValue."""
    kind = ELEMENT_KINDS[type_]
    return read_addresses(kind, value) if isinstance(kind, AddressKind) else (0, read_range(kind, value))


def _shown(element: Any) -> str:
    return " . ".join(map(str, element)) if isinstance(element, list) else repr(element)
