"""`sets:` of the documents: named lists of values, from a document itself, or from files as others publish them.

constant    the elements become code where they are used: ranges. So it is for elements that stand in a document
live        the elements lie in maps, and come and go while frames flow. So it is for files, and all combinations
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from appliance.errors import InputRefused, SourceLine
from appliance.rules.document.document import Document
from appliance.rules.document.places import KeyPath
from appliance.rules.document.schema import SetEntry
from appliance.rules.errors import RuleSetRefused
from appliance.rules.model import LiveSet
from appliance.rules.ranges import Ranges, union
from appliance.rules.reading import read_addresses, read_range
from appliance.rules.sets.contents import Contents, Packer
from appliance.rules.sets.elements import MOST_KEYS, ElementType
from appliance.rules.sets.lists import list_elements, read_list
from appliance.rules.sets.maxmind import PREFIXES, countries, read_database, systems
from appliance.rules.values import ELEMENT_KINDS, Addresses, AddressKind, BadValue, SetType

_COUNTRY_CODE = re.compile(r"[A-Z]{2}")
LEAST_SIZE = 1024  # keys that a set has room for, unless it says otherwise
HEADROOM = 2  # times what it begins with


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A constant set, read: addresses for prefixes, ranges for everything else."""

    name: str
    type: ElementType
    ranges: Ranges = ()
    addresses: Addresses = field(default_factory=Addresses)

    def __bool__(self) -> bool:
        return bool(self.ranges or self.addresses)


AnySet: TypeAlias = NamedSet | LiveSet


class NamedSets(dict[str, AnySet | None]):
    """All sets by name; None for one that was refused, so that its uses aren't refused again.

    Once a part of the documents was refused that may have sets, every name that isn't there is taken for one of those.
    For one thread.
    """

    incomplete = False

    def __contains__(self, name: object) -> bool:
        return self.incomplete or super().__contains__(name)

    def __missing__(self, name: str) -> None:
        if not self.incomplete:
            raise KeyError(name)

    def is_defined(self, name: str) -> bool:
        """Whether a document has said what it is."""
        return super().__contains__(name)


class SetReader:
    """Reads the sets of one document after the other, and collects what is wrong with them. For one thread."""

    def __init__(self, defects: list[InputRefused]) -> None:
        self.defects = defects
        self.sets = NamedSets()
        self.places: dict[str, SourceLine] = {}

    def forget(self, wrong: Iterable[KeyPath]) -> None:
        """Take in that these parts of a document were refused already."""
        for key, *name in wrong:
            if key == "sets" and name:
                self.sets.setdefault(str(name[0]), None)
            elif key in ("sets", "include"):
                self.sets.incomplete = True

    def define(self, document: Document, name: str, entry: SetEntry) -> None:
        """One entry of `sets:`."""
        at: KeyPath = ("sets", name)
        place = document.place(at, key=True)
        if self.sets.is_defined(name):
            what, hint = f"the set {name!r} is defined twice", f"it is first defined at {self.places[name]}"
            self.defects.append(document.refuse(what, at, hint=hint, key=True))
            return
        self.places[name] = place
        before = len(self.defects)
        type_ = ElementType(tuple(map(SetType, entry.type)))
        source = _Source(document, entry, at, self.defects)
        found: AnySet
        if source.is_constant(type_):
            found = self._constant(name, type_, source.elements())
        else:
            contents = source.contents(type_)
            found = LiveSet(name, type_, source.sizes(type_, contents), contents, entry.size is not None)
        self.sets[name] = found if len(self.defects) == before else None

    def _constant(self, name: str, type_: ElementType, elements: Iterable[tuple[Any, SourceLine]]) -> NamedSet:
        kind = ELEMENT_KINDS[type_.types[0]]
        ranges: dict[int, list[tuple[int, int]]] = {0: [], 4: [], 6: []}
        for value, place in elements:
            try:
                family, found = (
                    read_addresses(kind, value) if isinstance(kind, AddressKind) else (0, read_range(kind, value))
                )
                ranges[family].append(found)
            except BadValue as bad:
                self.defects.append(InputRefused(bad.what, where=place, hint=bad.hint))
        return NamedSet(name, type_, union(ranges[0]), Addresses(union(ranges[4]), union(ranges[6])))


class _Source:
    """Where the elements of one entry of `sets:` come from."""

    def __init__(self, document: Document, entry: SetEntry, at: KeyPath, defects: list[InputRefused]) -> None:
        self._document = document
        self._entry = entry
        self._at = at
        self._defects = defects
        given = [key for key in ("elements", "file", "maxmind") if getattr(entry, key) is not None]
        if len(given) != 1:
            hint = "give a list under `elements:`, or the path of a list as `file:`, or of a database as `maxmind:`"
            defects.append(document.refuse("a set has either elements or a file", at, hint=hint))
            self._entry = entry.model_copy(update={"elements": [], "file": None, "maxmind": None})
        if entry.maxmind is None and (entry.country is not None or entry.asn is not None):
            hint = "give the path of a database as `maxmind:`"
            defects.append(document.refuse("countries and AS numbers come from a database", at, hint=hint))

    def is_constant(self, type_: ElementType) -> bool:
        """Whether the elements become code. Refuses what can't."""
        given = self._entry.constant
        if given and type_.is_combination:
            hint = "a set of one type may be constant; a combination lies in a map: leave `constant` out"
            self._refuse("a combination is never constant", "constant", hint)
        if given and self._entry.maxmind is not None:
            self._refuse("a set from a database is never constant", "constant", "leave `constant` out")
        if given is None:
            given = self._entry.elements is not None
        if given and self._entry.size is not None:
            self._refuse("a constant set has no size", "size", "leave `size` out, or say `constant: false`")
        return given and not type_.is_combination and self._entry.maxmind is None

    def elements(self) -> Iterable[tuple[Any, SourceLine]]:
        """The elements one by one, with their places."""
        if self._entry.file is not None:
            return list_elements(self._path(self._entry.file), self._told)
        inside = (*self._at, "elements")
        given = self._entry.elements or []
        return [(value, self._document.place((*inside, i))) for i, value in enumerate(given)]

    def contents(self, type_: ElementType) -> Contents:
        """All elements, packed."""
        packer = Packer(type_)
        if self._entry.file is not None:
            read_list(self._path(self._entry.file), packer, self._told)
            return packer.contents()
        if self._entry.maxmind is not None:
            self._read_database(type_, self._entry.maxmind, packer)
            return packer.contents()
        inside = (*self._at, "elements")
        packer.add(
            self._entry.elements or [],
            lambda i, bad: self._defects.append(self._document.refuse(bad.what, (*inside, i), hint=bad.hint)),
        )
        return packer.contents()

    def _read_database(self, type_: ElementType, name: str, packer: Packer) -> None:
        """The networks of the countries or autonomous systems that are wanted."""
        country, asn = self._entry.country, self._entry.asn
        if type_ != PREFIXES:
            self._refuse("a set from a database is of prefixes", "type", "say `type: prefix`")
        elif (country is None) == (asn is None):
            hint = "say `country: [SE, NO]` or `asn: [64496]`, and make two sets of both"
            self._refuse("a set from a database has either countries or AS numbers", "maxmind", hint)
        elif wrong := [n for n, code in enumerate(country or ()) if not _COUNTRY_CODE.fullmatch(code)]:
            for number in wrong:
                what = f"{(country or [])[number]!r} isn't the code of a country"
                hint = "two capital letters, as ISO 3166-1 has them"
                self._defects.append(self._document.refuse(what, (*self._at, "country", number), hint=hint))
        else:
            selection = countries(frozenset(country)) if country is not None else systems(frozenset(asn or ()))
            read_database(self._path(name), selection, packer, self._told)

    def sizes(self, type_: ElementType, contents: Contents) -> tuple[int, ...]:
        """The room of the set's maps, in keys."""
        return tuple(self._size(contents.count(part)) for part in type_.parts)

    def _size(self, most: int) -> int:
        """What is asked for, or a power of two, so that a list which grows by the day is the same code for long."""
        size = self._entry.size or min(max(LEAST_SIZE, 1 << (HEADROOM * most - 1).bit_length()), MOST_KEYS)
        if most > size:
            what = f"{most} keys are more than the set has room for, {size}"
            hint = f"give it a larger `size`, up to {MOST_KEYS}" if self._entry.size else "cut it into several sets"
            self._refuse(what, "size" if self._entry.size else None, hint)
        return size

    def _path(self, name: str) -> Path:
        return Path(self._document.file).parent / name

    def _told(self, defect: InputRefused) -> None:
        """A list's defect; one that has no line of its own is told at the place that names the file."""
        if not isinstance(defect.where, SourceLine):
            what, at = f"{defect.where}: {defect.what}", (*self._at, "maxmind" if self._entry.maxmind else "file")
            defect = self._document.refuse(what, at, hint=defect.hint)
        self._defects.append(defect)

    def _refuse(self, what: str, key: str | None, hint: str) -> None:
        at = self._at if key is None else (*self._at, key)
        self._defects.append(self._document.refuse(what, at, hint=hint))


def defects_of_file(refused: RuleSetRefused, document: Document, at: KeyPath) -> list[InputRefused]:
    """A file's defects; one that has no line of its own is told at the place that names the file."""
    return [
        defect
        if isinstance(defect.where, SourceLine)
        else document.refuse(f"{defect.where}: {defect.what}", at, hint=defect.hint)
        for defect in refused.defects
    ]
