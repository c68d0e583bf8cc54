"""A program as it is drawn: its functions, in the order of their instructions, and the blocks of each.

Code that nothing leads to has blocks as well, without successors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from appliance.ebpf.isa.disassembler import statement
from appliance.ebpf.isa.instructions import CallFunction, LoadFunction
from appliance.verifier.budget import Budget
from appliance.verifier.control_flow import cfg
from appliance.verifier.control_flow.calls import runs_other_code
from appliance.verifier.explanation import Explanation


@dataclass(frozen=True, slots=True)
class DrawnBlock:
    """Instructions [start, end); `successors` are first instructions, that of the fall-through first. Only code that is
    `led_to` belongs to the graph that the verifier explores."""

    start: int
    end: int
    successors: tuple[int, ...] = ()
    led_to: bool = True


@dataclass(frozen=True, slots=True)
class DrawnFunction:
    """The main program, or one of its functions; `entry` is its first instruction."""

    name: str
    entry: int
    blocks: tuple[DrawnBlock, ...]


def functions(explanation: Explanation) -> list[DrawnFunction]:
    """Every instruction of the program in one block of one function. Of a program in which a jump leads out there is no
    graph: it is one block."""
    spec = explanation.spec
    count = len(spec.instructions)
    if not count or cfg.outside_target(spec.instructions) is not None:
        return [DrawnFunction(spec.name, 0, (DrawnBlock(0, count, led_to=False),))]
    named = {0: spec.name, **{entry: name for entry, name in spec.functions.items() if entry}}
    for instruction in spec.instructions:
        if isinstance(instruction, CallFunction | LoadFunction):
            named.setdefault(instruction.target, f"at instruction {instruction.target}")
    drawn: set[int] = set()
    blocks: dict[int, list[DrawnBlock]] = {entry: [] for entry in named}
    for entry in sorted(named):
        for block in _blocks(explanation, entry):
            if drawn.isdisjoint(range(block.start, block.end)):
                drawn.update(range(block.start, block.end))
                blocks[entry].append(block)
    for start, end in _gaps(drawn, set(named), count):
        blocks[max(entry for entry in named if entry <= start)].append(DrawnBlock(start, end, led_to=False))
    return [
        DrawnFunction(named[entry], entry, tuple(sorted(blocks[entry], key=lambda block: block.start)))
        for entry in sorted(named)
    ]


def text_of(explanation: Explanation, index: int, slots: Sequence[int]) -> str:
    """One instruction as listings have it, wherever it jumps to."""
    instruction = explanation.spec.instructions[index]
    target = getattr(instruction, "target", 0)
    if not 0 <= target < len(slots):
        return f"goto instruction {target} of {len(slots)}"
    return statement(instruction, slots, explanation.platform)


def _blocks(explanation: Explanation, entry: int) -> list[DrawnBlock]:
    ends_block = partial(runs_other_code, explanation.platform.helpers)
    instructions = explanation.spec.instructions
    blocks = cfg.build(instructions, Budget.of(len(instructions)), entry, ends_block).blocks
    return [
        DrawnBlock(block.start, block.end, tuple(blocks[number].start for number in block.successors))
        for block in blocks
    ]


def _gaps(drawn: set[int], entries: set[int], count: int) -> list[tuple[int, int]]:
    """What no graph has, cut where a function begins."""
    gaps: list[tuple[int, int]] = []
    for index in range(count):
        if index in drawn:
            continue
        if gaps and gaps[-1][1] == index and index not in entries:
            gaps[-1] = gaps[-1][0], index + 1
        else:
            gaps.append((index, index + 1))
    return gaps
