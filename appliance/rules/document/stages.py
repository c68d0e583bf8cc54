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


class StageReader:
    """Reads the stages of one document after the other, and collects what is wrong with them. For one thread."""

    def __init__(self, defaults: DefaultsEntry, rule_ids: Collection[str], defects: list[InputRefused]) -> None:
        self.defaults = defaults
        self.rule_ids = rule_ids
        self.defects = defects
        self.stages: list[Stage] = []

    def read(self, document: Document, entry: StageEntry, at: KeyPath) -> None:
        """One entry of `stages:`."""
        if any(entry.id == known.id for known in self.stages) or entry.id in self.rule_ids:
            what = f"the id {entry.id!r} is taken"
            self.defects.append(document.refuse(what, (*at, "id"), hint="rules and stages share their ids"))
        bitcode = self._bitcode(document, entry, at)
        if bitcode is None:
            return
        defaults = self.defaults
        self.stages.append(
            Stage(
                id=entry.id,
                bitcode=bitcode,
                program=entry.program,
                place=Place(entry.at),
                mode=Mode(entry.mode or defaults.mode),
                direction=Direction(entry.direction or defaults.direction),
                where=document.place(at),
            )
        )

    def _bitcode(self, document: Document, entry: StageEntry, at: KeyPath) -> Bitcode | None:
        try:
            bitcode = read_bitcode(Path(document.file).parent / entry.object)
        except InputRefused as refused:
            self.defects.append(document.refuse(refused.what, (*at, "object"), hint=refused.hint))
            return None
        if entry.program not in bitcode.functions:
            known = ", ".join(bitcode.functions) or "none"
            what = f"{entry.object} has no stage {entry.program!r}"
            self.defects.append(document.refuse(what, (*at, "program"), hint=f"its stages are: {known}"))
            return None
        return bitcode
