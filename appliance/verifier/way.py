"""The way to a rejection, as a person reads it: which branches it takes, with their source lines.

A path may be millions of instructions long and most of it says nothing. A branch says what the states behind it have
in common, and the last ones before the instruction say most; a branch that is taken again and again the same way, in a
loop, is told once, where it was last.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.ebpf.disassembler import statement
from appliance.ebpf.instructions import Branch, slot_numbers
from appliance.ebpf.platform import Platform
from appliance.ebpf.spec import ProgramSpec
from appliance.errors import SourceLine

MOST_STEPS = 6


@dataclass(frozen=True, slots=True)
class Step:
    """One branch on the way: the instruction at `slot`, and whether its condition holds there."""

    slot: int
    text: str
    taken: bool
    source: SourceLine | None

    def __str__(self) -> str:
        outcome = f"`{self.text}` at slot {self.slot} is {'taken' if self.taken else 'not taken'}"
        if self.source is None:
            return outcome
        text = self.source.text.strip()
        return f"{self.source}: {text}: {outcome}" if text else f"{self.source}: {outcome}"


def steps_of(spec: ProgramSpec, path: tuple[int, ...], platform: Platform) -> tuple[Step, ...]:
    """The last branches of the path, in the order of the way, MOST_STEPS at most."""
    chosen: dict[tuple[int, bool], None] = {}
    for index, following in zip(path[-2::-1], path[:0:-1], strict=True):
        if len(chosen) == MOST_STEPS:
            break
        instruction = spec.instructions[index]
        if isinstance(instruction, Branch) and instruction.target != index + 1:
            chosen.setdefault((index, following == instruction.target), None)
    if not chosen:
        return ()
    slots = slot_numbers(spec.instructions)
    return tuple(
        Step(slots[index], statement(spec.instructions[index], slots, platform), taken, spec.line_of(index))
        for index, taken in reversed(chosen)
    )
