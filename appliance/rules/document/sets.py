"""`sets:` of the documents: named lists of values, from a document itself or from files with one element per line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.errors import InputRefused, SourceLine
from appliance.rules.document.document import Document, read_text
from appliance.rules.document.places import KeyPath
from appliance.rules.document.schema import SetEntry
from appliance.rules.errors import RuleSetRefused
from appliance.rules.ranges import Ranges, union
from appliance.rules.values import (
    ELEMENT_KINDS,
    Addresses,
    AddressKind,
    BadValue,
    SetType,
    read_prefix,
    read_range,
)


@dataclass(frozen=True, slots=True)
class NamedSet:
    """One entry of `sets:`, read: addresses for prefixes, ranges for everything else."""

    name: str
    type: SetType
    ranges: Ranges = ()
    addresses: Addresses = field(default_factory=Addresses)

    def __bool__(self) -> bool:
        return bool(self.ranges or self.addresses)


class SetReader:
    """Reads the sets of one document after the other, and collects what is wrong with them. For one thread."""

    def __init__(self, defects: list[InputRefused]) -> None:
        self.defects = defects
        self.sets: dict[str, NamedSet | None] = {}  # None for one that was refused
        self.places: dict[str, SourceLine] = {}

    def define(self, document: Document, name: str, entry: SetEntry) -> None:
        """One entry of `sets:`."""
        at: KeyPath = ("sets", name)
        place = document.place(at, key=True)
        if name in self.sets:
            what, hint = f"the set {name!r} is defined twice", f"it is first defined at {self.places[name]}"
            self.defects.append(document.refuse(what, at, hint=hint, key=True))
            return
        self.places[name] = place
        before = len(self.defects)
        elements = self._elements(document, entry, at)
        found = self._read_set(name, SetType(entry.type), elements)
        self.sets[name] = found if len(self.defects) == before else None

    def _elements(self, document: Document, entry: SetEntry, at: KeyPath) -> list[tuple[Any, SourceLine]]:
        """A set's elements with their places, from the document or from the file it names."""
        if (entry.elements is None) == (entry.file is None):
            hint = "give a list under `elements:`, or the path of a list as `file:`"
            self.defects.append(document.refuse("a set has either elements or a file", at, hint=hint))
            return []
        if entry.elements is not None:
            inside = (*at, "elements")
            return [(value, document.place((*inside, i))) for i, value in enumerate(entry.elements)]
        path = Path(document.file).parent / str(entry.file)
        try:
            text = read_text(path)
        except RuleSetRefused as refused:
            self.defects += defects_of_file(refused, document, (*at, "file"))
            return []
        return list_elements(text, str(path))

    def _read_set(self, name: str, type_: SetType, elements: list[tuple[Any, SourceLine]]) -> NamedSet:
        kind = ELEMENT_KINDS[type_]
        ranges: dict[int, list[tuple[int, int]]] = {0: [], 4: [], 6: []}
        for value, place in elements:
            try:
                family, found = (
                    read_prefix(kind, value) if isinstance(kind, AddressKind) else (0, read_range(kind, value))
                )
                ranges[family].append(found)
            except BadValue as bad:
                self.defects.append(InputRefused(bad.what, where=place, hint=bad.hint))
        return NamedSet(name, type_, union(ranges[0]), Addresses(union(ranges[4]), union(ranges[6])))


def list_elements(text: str, file: str) -> list[tuple[Any, SourceLine]]:
    """The elements of a list file: one per line; `#` begins a comment; blank lines are nothing."""
    elements: list[tuple[Any, SourceLine]] = []
    for number, line in enumerate(text.splitlines(), 1):
        element = line.partition("#")[0].strip()
        if element:
            elements.append((element, SourceLine(file, number, line.index(element) + 1, line)))
    return elements


def defects_of_file(refused: RuleSetRefused, document: Document, at: KeyPath) -> list[InputRefused]:
    """A file's defects; one that has no line of its own is told at the place that names the file."""
    return [
        defect
        if isinstance(defect.where, SourceLine)
        else document.refuse(f"{defect.where}: {defect.what}", at, hint=defect.hint)
        for defect in refused.defects
    ]
