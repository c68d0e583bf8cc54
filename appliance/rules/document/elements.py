"""The values of conditions: numbers, ranges, addresses, flags and names of sets, alone or in lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.errors import InputRefused
from appliance.rules.conditions import Membership
from appliance.rules.document.document import Document
from appliance.rules.document.places import KeyPath
from appliance.rules.document.sets import AnySet
from appliance.rules.errors import did_you_mean
from appliance.rules.model import LiveSet
from appliance.rules.ranges import Ranges, union
from appliance.rules.reading import read_addresses, read_flags, read_number, read_range
from appliance.rules.sets.elements import ElementType
from appliance.rules.values import Addresses, AddressKind, BadValue, FlagsKind, NumberKind


@dataclass(frozen=True, slots=True)
class NumbersAndSets:
    """Numbers, and the names of live sets of them."""

    constants: Ranges
    sets: tuple[str, ...]

    @property
    def membership(self) -> Membership:
        return Membership(self.constants, self.sets)


@dataclass(frozen=True, slots=True)
class AddressesAndSets:
    """Addresses, and the names of live sets of them."""

    constants: Addresses
    sets: tuple[str, ...]


class ElementReader:
    """Reads the values of one document, and collects what is wrong with them. For one thread."""

    def __init__(self, document: Document, sets: Mapping[str, AnySet | None], defects: list[InputRefused]) -> None:
        """`sets` has None for a set that was refused already, so that its uses aren't refused again."""
        self.document = document
        self.sets = sets
        self.defects = defects

    def refuse(self, what: str, path: KeyPath, hint: str | None = None, *, key: bool = False) -> None:
        self.defects.append(self.document.refuse(what, path, hint=hint, key=key))

    def limit(self, kind: NumberKind, value: Any, path: KeyPath) -> int:
        """One number."""
        try:
            return read_number(kind, value)
        except BadValue as bad:
            self.refuse(bad.what, path, bad.hint)
            return 0

    def ranges(self, kind: NumberKind, value: Any, path: KeyPath) -> NumbersAndSets:
        """A number, a range, a set's name, or a list of these."""
        ranges, live = [], []
        for element, where in each(value, path):
            if isinstance(element, str) and element.startswith("@"):
                if not kind.is_in_sets:
                    self.refuse(
                        f"{'bytes' if kind.size else f'{kind.name}s'} are in no set", where, "list their values"
                    )
                    continue
                found = self.named(element, ElementType((kind.set_type,)), where)
                if isinstance(found, LiveSet):
                    live.append(found.name)
                elif found:
                    ranges += [r for r in found.ranges if r[0] <= kind.maximum]
                continue
            try:
                ranges.append(read_range(kind, element))
            except BadValue as bad:
                self.refuse(bad.what, where, bad.hint)
        return NumbersAndSets(union(ranges), tuple(live))

    def members(self, kind: AddressKind, value: Any, path: KeyPath) -> AddressesAndSets:
        """A prefix, a range, a set's name, or a list of these."""
        found: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        live = []
        for element, where in each(value, path):
            if isinstance(element, str) and element.startswith("@"):
                named = self.named(element, ElementType((kind.set_type,)), where)
                if isinstance(named, LiveSet):
                    live.append(named.name)
                elif named:
                    found[4] += named.addresses.v4
                    found[6] += named.addresses.v6
                continue
            try:
                family, addresses = read_addresses(kind, element)
                found[family].append(addresses)
            except BadValue as bad:
                self.refuse(bad.what, where, bad.hint)
        return AddressesAndSets(Addresses(union(found[4]), union(found[6])), tuple(live))

    def named(self, text: str, wanted: ElementType, path: KeyPath) -> AnySet | None:
        """The set of that name, `@` before it; None for one that isn't there, or of other elements."""
        name = text[1:]
        if name not in self.sets:
            self.refuse(f"there is no set {name!r}", path, did_you_mean(name, self.sets))
            return None
        found = self.sets[name]
        if found is not None and found.type != wanted:
            self.refuse(f"the set {name!r} holds {found.type} elements", path, f"use a set of {wanted}")
            return None
        return found

    def bits(self, kind: FlagsKind, value: Any, path: KeyPath) -> int:
        """One or several names of bits."""
        bits = 0
        for element, where in each(value, path):
            try:
                bits |= read_flags(kind, element)
            except BadValue as bad:
                self.refuse(bad.what, where, bad.hint)
        return bits


def each(value: Any, path: KeyPath) -> list[tuple[Any, KeyPath]]:
    """The elements of a list with their paths; a single value is a list of one."""
    if isinstance(value, list):
        return [(element, (*path, index)) for index, element in enumerate(value)]
    return [(value, path)]
