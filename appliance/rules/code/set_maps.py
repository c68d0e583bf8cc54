"""The maps that hold what is too large for code: sets as tries of prefixes or bitmaps of numbers, tables as arrays.

Their contents can't be in an object; they travel beside it (`CompiledRules.contents`).
"""

from __future__ import annotations

import struct

from appliance.ebpf.map_types import MapType
from appliance.ir import Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape, NameTaken
from appliance.rules.code.layout import NO_PREALLOC, set_name
from appliance.rules.ranges import Ranges, prefixes

LOW_HALF = (1 << 64) - 1


class SetMaps:
    """The maps that hold large sets, shared by all rules that name the same elements. For one thread."""

    def __init__(self, module: BpfModule) -> None:
        self.module = module
        self.contents: dict[str, tuple[tuple[bytes, bytes], ...]] = {}

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
