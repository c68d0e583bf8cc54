"""Whether values are in a set, asked of its contents in plain Python: what a trie finds, written down a second time."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.rules.sets.contents import Contents
from appliance.rules.sets.elements import ElementType, Part


class Members:
    """The contents of one set, by the length of prefixes. For one thread."""

    def __init__(self, type_: ElementType, contents: Contents) -> None:
        self._type = type_
        self._known = {part: _by_length(part, contents.keys[part]) for part in type_.parts}

    def has(self, values: Sequence[int], family: int) -> bool:
        """Whether the values, in the order of the set's types, are an element; `family` is that of the addresses."""
        part = next(part for part in self._type.parts if part.family in (0, family))
        data = 0
        for number, width in zip(self._type.order, part.widths, strict=True):
            data = data << 8 * width | values[number]
        bits = 8 * sum(part.widths)
        return any(data >> (bits - length) in found for length, found in self._known[part].items())


def _by_length(part: Part, keys: bytes) -> dict[int, set[int]]:
    """The bits of every prefix, by its length."""
    bits, found = 8 * sum(part.widths), dict[int, set[int]]()
    for at in range(0, len(keys), part.key_size):
        length = int.from_bytes(keys[at : at + 4], "little")
        data = int.from_bytes(keys[at + 4 : at + part.key_size], "big")
        found.setdefault(length, set()).add(data >> (bits - length))
    return found
