"""Live sets at work: elements come and go while programs look them up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from appliance.maps.control.map import Map
from appliance.maps.control.packed import Replaced
from appliance.rules.sets.contents import Contents
from appliance.rules.sets.elements import PRESENT, ElementType, Part


class RunningSet:
    """One live set, and the open maps that it lies in. Any thread, while programs look its elements up.

    Elements are as a document has them: `"192.0.2.0/24"`, `443`, `["192.0.2.1", 443]`. Those that are wrong are refused
    with BadValue before anything is changed.
    """

    def __init__(self, name: str, type_: ElementType, maps: Mapping[str, Map]) -> None:
        """`maps` are all that are open, by name. A set that no rule uses has none."""
        self.name = name
        self.type = type_
        names = {part: type_.map_name(part, name) for part in type_.parts}
        self._maps: dict[Part, Map] = {part: maps[known] for part, known in names.items() if known in maps}
        self.maps: Mapping[str, Map] = {known: maps[known] for known in names.values() if known in maps}

    def __len__(self) -> int:
        """The keys in its maps: an element that is no prefix has several."""
        return sum(map(len, self._maps.values()))

    def __contains__(self, element: Any) -> bool:
        """Whether all of an element is found: each of its keys, or a shorter prefix of it."""
        keys = list(self.type.keys(element))
        return all(part in self._maps and self._maps[part].lookup(key) is not None for part, key in keys)

    def add(self, elements: Iterable[Any]) -> None:
        """Put elements in. Raises BadValue, or MapFull: what was put in before stays."""
        for part, key in [key for element in elements for key in self.type.keys(element)]:
            if part in self._maps:
                self._maps[part].update(key, PRESENT)

    def remove(self, elements: Iterable[Any]) -> int:
        """Take elements out as they were put in: how many of their keys were there. A range that overlaps another one
        may take a part of it along; what lies in a larger prefix is still in the set."""
        keys = [key for element in elements for key in self.type.keys(element)]
        return sum(self._maps[part].delete(key) for part, key in keys if part in self._maps)

    def replace(self, contents: Contents) -> Replaced:
        """Make `contents` all that is in the set, by difference: what stays is not touched. Raises MapFull."""
        done = [map_.replace_packed(contents.keys[part], PRESENT) for part, map_ in self._maps.items()]
        return Replaced(sum(each.added for each in done), sum(each.removed for each in done))
