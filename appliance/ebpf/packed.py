"""Many entries in one piece of memory: keys one behind the other, and the one value that all of them have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import overload


@dataclass(frozen=True, slots=True)
class PackedEntries(Sequence[tuple[bytes, bytes]]):
    """Entries as (key, value), made when somebody asks: a million of them are no million objects."""

    keys: bytes = field(repr=False)
    key_size: int
    value: bytes

    def __len__(self) -> int:
        return len(self.keys) // self.key_size

    @overload
    def __getitem__(self, index: int) -> tuple[bytes, bytes]: ...

    @overload
    def __getitem__(self, index: slice) -> list[tuple[bytes, bytes]]: ...

    def __getitem__(self, index: int | slice) -> tuple[bytes, bytes] | list[tuple[bytes, bytes]]:
        at = range(len(self))[index]
        return [self[each] for each in at] if isinstance(at, range) else self._entry(at)

    def _entry(self, number: int) -> tuple[bytes, bytes]:
        place = number * self.key_size
        return self.keys[place : place + self.key_size], self.value
