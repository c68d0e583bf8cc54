"""`stages:` of the documents: each entry to a Stage, with the bitcode or the object that it names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from appliance.errors import InputRefused
from appliance.rules.document.document import Document
from appliance.rules.document.places import KeyPath
from appliance.rules.document.schema import DefaultsEntry, StageEntry
from appliance.rules.model import Direction, Mode, Place, Rule, Stage
from appliance.rules.stages.bitcode import Bitcode, read_bitcode
from appliance.rules.stages.object_file import ObjectFile, is_object_file, read_object_file
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
        code = self._code(document, entry, at)
        if code is None:
            return
        if isinstance(code, ObjectFile):
            self._check_called(document, entry, at)
        else:
            self._check_constants(document, entry, code, (*at, "constants"))
        defaults = self.defaults
        self.stages.append(
            Stage(
                id=entry.id,
                code=code,
                program=entry.program,
                place=Place(entry.at),
                mode=Mode(entry.mode or defaults.mode),
                direction=Direction(entry.direction or defaults.direction),
                constants=entry.constants,
                where=document.place(at),
            )
        )

    def check_challenges(self, rules: Iterable[Rule]) -> None:
        """Every rule that asks a stage finds one, and every stage that waits for rules is asked."""
        known = {stage.id for stage in self.stages if stage.place is Place.IN_RULES}
        asked = {rule.challenge for rule in rules}
        for rule in rules:
            if rule.challenge is not None and rule.challenge not in known:
                what = f"{rule.id} asks a stage {rule.challenge!r}, and none stands `at: in-rules` under that id"
                hint = f"there are: {', '.join(sorted(known)) or 'none'}"
                self.defects.append(InputRefused(what, where=rule.where, hint=hint))
        for stage in self.stages:
            if stage.place is Place.IN_RULES and stage.id not in asked:
                hint = "say `action: challenge` and `challenge: {stage: " + stage.id + "}` in a rule"
                self.defects.append(InputRefused(f"no rule asks {stage.id}", where=stage.where, hint=hint))

    def _check_called(self, document: Document, entry: StageEntry, at: KeyPath) -> None:
        """What an object can't be, since nothing comes back from it."""
        link = "compile it to bitcode, which is linked: docs/stages.md"
        if Place(entry.at) is not Place.AFTER_RULES:
            what = "an object is called in place of the policy, and can't stand elsewhere"
            self.defects.append(document.refuse(what, (*at, "at"), hint=f"say `at: after-rules`, or {link}"))
        if Mode(entry.mode or self.defaults.mode) is Mode.MONITOR:
            what = "what an object decides can't be held back"
            self.defects.append(document.refuse(what, (*at, "mode"), hint=f"say `mode: enforce`, or {link}"))
        if entry.constants:
            what = "an object takes no constants"
            self.defects.append(document.refuse(what, (*at, "constants"), hint=link))
        for known in self.stages:
            if known.is_called:
                what = f"{entry.id} would never be asked: {known.id} is called before, and nothing comes back from it"
                self.defects.append(document.refuse(what, at, hint="leave one of them out"))

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

    def _code(self, document: Document, entry: StageEntry, at: KeyPath) -> Bitcode | ObjectFile | None:
        path = _find(document, entry.object)
        try:
            code = read_object_file(path) if is_object_file(path) else read_bitcode(path)
        except InputRefused as refused:
            self.defects.append(document.refuse(refused.what, (*at, "object"), hint=refused.hint))
            return None
        if entry.program not in code.functions:
            known = ", ".join(code.functions) or "none"
            what = f"{entry.object} has no stage {entry.program!r}"
            self.defects.append(document.refuse(what, (*at, "program"), hint=f"its stages are: {known}"))
            return None
        return code


def _find(document: Document, name: str) -> Path:
    """The file of that path from the document, or, if there is none, the one of that name that ships."""
    beside = Path(document.file).parent / name
    ours = shipped("programs/stages") / name
    return ours if "/" not in name and not beside.exists() and ours.exists() else beside
