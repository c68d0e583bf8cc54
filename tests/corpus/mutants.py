"""Programs with one check taken out: each is rejected, or the check was not needed.

A mutant is the program with one instruction changed:

    if r1 > r2 goto out        no branch at all; always the branch; one more or less than the constant, or twice it
    r1 &= 15                   no mask; a mask of one bit more
    r1 += 14                   of what is compared with the packet's end: less
    r1 = *(u16 *)(r2 + 12)     an access twice as wide; one behind it
    *(u64 *)(r10 - 8) = r1     nothing written
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from appliance.ebpf.isa.instructions import Alu, Branch, Immediate, Instruction, Jump, Load, Store
from appliance.ebpf.isa.opcodes import AluOp, Condition
from appliance.ebpf.spec import ProgramSpec

WIDEST = 8
_LIMIT = (1 << 31) - 1


class Mutant(NamedTuple):
    """`index` of the instruction that was changed, and how."""

    index: int
    change: str
    spec: ProgramSpec


def mutants(program: ProgramSpec) -> Iterator[Mutant]:
    """Every mutant of a program."""
    for index, instruction in enumerate(program.instructions):
        for change, other in _changes(index, instruction):
            instructions = (*program.instructions[:index], other, *program.instructions[index + 1 :])
            yield Mutant(index, change, replace(program, instructions=instructions))


def _changes(index: int, instruction: Instruction) -> Iterator[tuple[str, Instruction]]:
    nothing = Jump(index + 1)
    match instruction:
        case Branch(source=Immediate(value)) if value:
            yield "never taken", nothing
            yield "always taken", replace(instruction, condition=Condition.GE, source=Immediate(0))
            for bound in {value + 1, value - 1, 2 * value} - {value}:
                if -_LIMIT <= bound <= _LIMIT:
                    yield f"compares with {bound}", replace(instruction, source=Immediate(bound))
        case Branch():
            yield "never taken", nothing
            yield "always taken", Jump(instruction.target)
        case Alu(op=AluOp.AND, source=Immediate(mask)):
            yield "not masked", nothing
            if 0 <= mask < _LIMIT // 2:
                yield "one bit more", replace(instruction, source=Immediate(mask << 1 | 1))
        case Alu(op=AluOp.ADD, width=64, source=Immediate(distance)) if distance > 1:
            for less in (distance - 1, distance // 2):
                yield f"adds {less}", replace(instruction, source=Immediate(less))
        case Load() | Store():
            if instruction.size < WIDEST:
                yield "twice as wide", replace(instruction, size=2 * instruction.size)
            yield "one behind", replace(instruction, offset=instruction.offset + instruction.size)
            if isinstance(instruction, Store):
                yield "not written", nothing
