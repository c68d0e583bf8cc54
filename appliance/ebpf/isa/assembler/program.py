"""A text's statements put together: labels, distances, and what they name."""

from __future__ import annotations

from dataclasses import replace

from appliance.ebpf.isa.assembler.fields import Fields
from appliance.ebpf.isa.assembler.grammar import HINTS, Targeting, forms
from appliance.ebpf.isa.assembler.statements import LABEL, Statement, statements
from appliance.ebpf.isa.instructions import Instruction, slot_numbers
from appliance.ebpf.platform import LINUX, Platform


def assemble(text: str, platform: Platform = LINUX, source: str = "<assembly>") -> tuple[Instruction, ...]:
    """The program that `text` describes. `source` is the file's name in messages. Raises AssemblyError."""
    program = _Assembly(platform)
    for statement in statements(text, source):
        program.add(statement)
    return program.finish()


class _Assembly:
    """The program so far. Targets are filled in at the end, when every label and slot number is known."""

    def __init__(self, platform: Platform) -> None:
        self._helpers = {name: number for number, name in platform.helpers.items()}
        self._instructions: list[Instruction] = []
        self._labels: dict[str, int] = {}
        self._pending: list[tuple[int, Targeting, Fields]] = []

    def add(self, statement: Statement) -> None:
        label = LABEL.fullmatch(statement.text)
        if label is not None:
            self._define(label.group(1), statement)
            return
        for pattern, build in forms():
            match = pattern.fullmatch(statement.text)
            if match is not None:
                fields = Fields(statement, match, self._helpers)
                instruction = build(fields)
                if isinstance(instruction, Targeting):
                    self._pending.append((len(self._instructions), instruction, fields))
                self._instructions.append(instruction)
                return
        word = statement.text.split()[0]
        statement.refuse(f"{statement.text!r} is no instruction", hint=HINTS.get(word, HINTS[""]))

    def _define(self, name: str, statement: Statement) -> None:
        if name in self._labels:
            statement.refuse(f"the label {name!r} is defined twice")
        if name in self._helpers:
            statement.refuse(f"{name!r} is a helper's name and can't be a label")
        self._labels[name] = len(self._instructions)

    def finish(self) -> tuple[Instruction, ...]:
        slots = slot_numbers(self._instructions)
        indices = {slot: index for index, slot in enumerate(slots)}
        for index, instruction, fields in self._pending:
            self._instructions[index] = replace(instruction, target=self._target(fields, slots[index], indices))
        return tuple(self._instructions)

    def _target(self, fields: Fields, slot: int, indices: dict[int, int]) -> int:
        text = fields["target"]
        if text[0] in "+-":
            target = indices.get(slot + 1 + int(text))
            if target is None:
                fields.refuse("target", f"no instruction starts {text} slots from here", "use a label")
            return target
        if text not in self._labels:
            fields.refuse("target", f"there is no label {text!r}", "a label is a name and a colon")
        if self._labels[text] == len(indices):
            fields.refuse("target", f"no instruction follows the label {text!r}")
        return self._labels[text]
