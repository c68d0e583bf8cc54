"""`stages:` of the documents: each entry to a Stage, with the bitcode that it names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from appliance.errors import InputRefused
from appliance.rules.document.document import Document
from appliance.rules.document.places import KeyPath
from appliance.rules.document.schema import DefaultsEntry, StageEntry
from appliance.rules.model import Direction, Mode, Place, Stage
from appliance.rules.stages.bitcode import Bitcode, read_bitcode
from appliance.shipped import shipped


class StageReader:
    """Reads the stages of one document after the other, and collects what is wrong with them. For one thread."""

    def __init__(self, defaults: DefaultsEntry, rule_ids: Collection[str], defects: list[InputRefused]) -> None:
        self.defaults = defaults
        self.rule_ids = rule_ids
        self.defects = defects
        self.stages: list[Stage] = []
        self.constants: dict[str, int] = {}

    def read(self, document: Document, entry: StageEntry, at: KeyPath) -> None:
        """One entry of `stages:`."""
        if any(entry.id == known.id for known in self.stages) or entry.id in self.rule_ids:
            what = f"the id {entry.id!r} is taken"
            self.defects.append(document.refuse(what, (*at, "id"), hint="rules and stages share their ids"))
        bitcode = self._bitcode(document, entry, at)
        if bitcode is None:
            return
        self._check_constants(document, entry, bitcode, (*at, "constants"))
        defaults = self.defaults
        self.stages.append(
            Stage(
                id=entry.id,
                bitcode=bitcode,
                program=entry.program,
                place=Place(entry.at),
                mode=Mode(entry.mode or defaults.mode),
                direction=Direction(entry.direction or defaults.direction),
                constants=entry.constants,
                where=document.place(at),
            )
        )

    def _check_constants(self, document: Document, entry: StageEntry, bitcode: Bitcode, at: KeyPath) -> None:
        """Every number that the bitcode wants is there, no other one is, and stages of one file say the same."""
        wanted = ", ".join(bitcode.constants) or "none"
        for name in bitcode.constants.keys() - entry.constants.keys():
            what = f"{entry.object} wants the constant {name}"
            self.defects.append(document.refuse(what, at, hint=f"add `constants: {{{name}: …}}`"))
        for name, number in entry.constants.items():
            bits = bitcode.constants.get(name)
            if bits is None:
                what, hint = f"{entry.object} wants no constant {name!r}", f"what it wants: {wanted}"
                self.defects.append(document.refuse(what, (*at, name), hint=hint, key=True))
            elif number >> bits:
                what = f"{number} doesn't fit into {name}, which has {bits} bits"
                self.defects.append(document.refuse(what, (*at, name)))
            elif self.constants.setdefault(name, number) != number:
                what = f"{name} is {self.constants[name]} already, for another stage"
                hint = "constants are shared by all stages, as globals of C are"
                self.defects.append(document.refuse(what, (*at, name), hint=hint))

    def _bitcode(self, document: Document, entry: StageEntry, at: KeyPath) -> Bitcode | None:
        try:
            bitcode = read_bitcode(_find(document, entry.object))
        except InputRefused as refused:
            self.defects.append(document.refuse(refused.what, (*at, "object"), hint=refused.hint))
            return None
        if entry.program not in bitcode.functions:
            known = ", ".join(bitcode.functions) or "none"
            what = f"{entry.object} has no stage {entry.program!r}"
            self.defects.append(document.refuse(what, (*at, "program"), hint=f"its stages are: {known}"))
            return None
        return bitcode


def _find(document: Document, name: str) -> Path:
    """The file of that path from the document, or, if there is none, the one of that name that ships."""
    beside = Path(document.file).parent / name
    ours = shipped("programs/stages") / name
    return ours if "/" not in name and not beside.exists() and ours.exists() else beside
