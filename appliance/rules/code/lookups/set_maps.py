"""The maps that hold sets and tables: live sets, called by their names; constants and tables too large for code.

Their contents can't be in an object; they travel beside it (`CompiledRules.contents`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from appliance.ebpf.map_types import MapType
from appliance.ebpf.packed import PackedEntries
from appliance.ir import Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape, NameTaken
from appliance.rules.code.layout import NO_PREALLOC, set_name
from appliance.rules.model import LiveSet
from appliance.rules.ranges import Ranges, prefixes
from appliance.rules.sets.elements import PRESENT, ElementType, Part

LOW_HALF = (1 << 64) - 1
LARGEST_CONSTANT_KEY = 20  # of an IPv6 trie


class SetMaps:
    """The maps that hold sets, shared by all rules that name the same elements. For one thread."""

    def __init__(self, module: BpfModule, live: Mapping[str, LiveSet]) -> None:
        self.module = module
        self.contents: dict[str, Sequence[tuple[bytes, bytes]]] = {}
        self._live = live
        self.used: dict[str, LiveSet] = {}

    @property
    def largest_key(self) -> int:
        """Bytes that suffice for a key of any of the maps."""
        parts = (part.key_size for found in self._live.values() for part in found.type.parts)
        return max(LARGEST_CONSTANT_KEY, *parts, 0)

    def type_of(self, name: str) -> ElementType:
        """What the elements of a live set are."""
        return self._live[name].type

    def live(self, name: str, family: int) -> tuple[Pointer, Part]:
        """The map of a live set for packets of that IP family, 0 if its elements hold no address."""
        found = self.used[name] = self._live[name]
        part, size = next(
            (part, size) for part, size in zip(found.type.parts, found.sizes, strict=True) if part.family == family
        )
        shape = MapShape(MapType.LPM_TRIE, part.key_size, len(PRESENT), size, NO_PREALLOC)
        map_name = found.type.map_name(part, name)
        self.contents[map_name] = PackedEntries(found.contents.keys[part], part.key_size, PRESENT)
        return self.module.declare_map(map_name, shape), part

    def trie(self, kind: str, ranges: Ranges, bits: int) -> Pointer:
        """An LPM trie of the ranges: key is the prefix length, in host order, and the number, in network order."""
        size = bits // 8
        entries = tuple(
            (struct.pack("<I", length) + low.to_bytes(size, "big"), b"\1\0\0\0")
            for low, length in prefixes(ranges, bits)
        )
        return self._map(kind, MapShape(MapType.LPM_TRIE, 4 + size, 4, len(entries), NO_PREALLOC), entries)

    def bitmap(self, kind: str, ranges: Ranges) -> Pointer:
        """An array of 64-bit words with a bit for each number up to the last one that is in the ranges."""
        bits = 0
        for low, high in ranges:
            bits |= (1 << (high + 1)) - (1 << low)
        words = -(-bits.bit_length() // 64)
        entries = tuple((struct.pack("<I", i), struct.pack("<Q", bits >> (64 * i) & LOW_HALF)) for i in range(words))
        return self._map(kind, MapShape(MapType.ARRAY, 4, 8, words), entries)

    def array(self, kind: str, values: bytes, size: int) -> Pointer:
        """An array of values of `size` bytes, which stand one behind the other."""
        entries = tuple(
            (struct.pack("<I", index), values[begin : begin + size])
            for index, begin in enumerate(range(0, len(values), size))
        )
        return self._map(kind, MapShape(MapType.ARRAY, 4, size, len(entries)), entries, set_name(kind, values))

    def _map(self, kind: str, shape: MapShape, entries: tuple[tuple[bytes, bytes], ...], name: str = "") -> Pointer:
        name = name or set_name(kind, entries)
        if self.contents.setdefault(name, entries) != entries:
            raise NameTaken(name)
        return self.module.declare_map(name, shape)
