"""What a place was made from: one instruction back, and from one visit back into the one before it.

A copy comes from its source, a sum from its terms, what is loaded from the stack from what was stored there; a pointer
that is loaded from the context comes with what is proved of the packet. Both who asks which states must be kept apart
(`partitioning`) and who tells a person why (`causes`) go back this way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from appliance.ebpf.isa.instructions import (
    FRAME_POINTER,
    Alu,
    ByteSwap,
    Immediate,
    Instruction,
    Load,
    Move,
    Negate,
    Register,
    Store,
)
from appliance.ebpf.isa.opcodes import AluOp
from appliance.ebpf.platform import Platform
from appliance.verifier.control_flow import liveness
from appliance.verifier.domains.values import FRAME_DISTANCE, PACKET_START, Kind, Pointer
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.partitions import Part, Place
from appliance.verifier.state.state import REGISTERS, SAVED, State, Visit

_SAVED_EACH = SAVED.stop - SAVED.start


def wanted(state: State, instruction: Instruction, platform: Platform) -> Iterator[Place]:
    """The registers that it reads, and bytes of the stack behind them that it may miss."""
    reads = liveness.register_effects(instruction, platform.helpers)[0]
    for register in range(REGISTERS):
        if not reads >> register & 1:
            continue
        if register != FRAME_POINTER:
            yield Place(Part.REGISTER, register)
        yield from _wanted_of_stack(state, register, instruction)


def _wanted_of_stack(state: State, register: int, instruction: Instruction) -> Iterator[Place]:
    value = state.registers[register]
    if type(value) is not Pointer or value.kind is not Kind.STACK or value.variable.constant is None:
        return
    if isinstance(instruction, Load):
        yield Place(Part.STACK, value.least + instruction.offset, instruction.size)
    elif not isinstance(instruction, Store):
        for at in range(value.least, value.base):
            if stack_cells.first_unreadable(state.stack, at, at + 1) is not None:
                yield Place(Part.STACK, at, 1)


def across(visit: Visit, before: Visit, place: Place) -> Place | None:
    """The same place in the visit before, which may be of another function; None if it was not there."""
    if place.part is not Part.REGISTER or visit.depth == before.depth:
        return place
    if visit.depth > before.depth:  # a function was called: what its caller saved is where it was
        if place.at == 0 or place.at in range(SAVED.start, SAVED.stop):
            return None
        saved = place.at - (REGISTERS + before.depth * _SAVED_EACH)
        return place._replace(at=SAVED.start + saved) if 0 <= saved < _SAVED_EACH else place
    if place.at in range(1, SAVED.start):
        return None
    if place.at in range(SAVED.start, SAVED.stop):
        return place._replace(at=REGISTERS + visit.depth * _SAVED_EACH + place.at - SAVED.start)
    return place


def last(visit: Visit, before: Visit) -> int:
    """One past the last instruction of the visit before that had a part in it."""
    return before.end - 1 if visit.depth > before.depth else before.end


def sources(visit: Visit, index: int, place: Place, instructions: Sequence[Instruction]) -> tuple[Place, ...] | None:
    """The places that an instruction makes the place from; None if it does not change it, or by a number that it names
    itself."""
    instruction = instructions[index]
    if place.part is Part.STACK:
        return _stored(visit, index, place, instructions)
    if place.part is not Part.REGISTER or not writes(instruction, place.at):
        return None
    match instruction:
        case Move(source=Register(number)):
            return (Place(Part.REGISTER, number),)
        case Alu(source=Register(number)):
            return (place, Place(Part.REGISTER, number))
        case Load(base=base, offset=offset, size=size):
            at = _stack_offset(visit, index, base, instructions)
            if at is not None:
                return (Place(Part.STACK, at + offset, size),)
            return (Place(Part.RANGE, PACKET_START),)
        case Alu() | Negate() | ByteSwap():
            return None
    return ()


def _stored(visit: Visit, index: int, place: Place, instructions: Sequence[Instruction]) -> tuple[Place, ...] | None:
    instruction = instructions[index]
    if not isinstance(instruction, Store):
        return None
    at = _stack_offset(visit, index, instruction.base, instructions)
    if at is None or not (at + instruction.offset < place.at + place.size):
        return None
    if at + instruction.offset + instruction.size <= place.at:
        return None
    source = instruction.source
    return (Place(Part.REGISTER, source.number),) if isinstance(source, Register) else ()


def writes(instruction: Instruction, register: int) -> bool:
    """Whether the register holds something else after it, or the same number changed."""
    if isinstance(instruction, Alu | Negate | ByteSwap):
        return instruction.dst == register
    return bool(liveness.register_effects(instruction, {})[1] >> register & 1)


def _stack_offset(visit: Visit, index: int, register: int, instructions: Sequence[Instruction]) -> int | None:
    """Where on the stack the register points to before that instruction; None if it is not seen to."""
    distance = 0
    for position in range(index - 1, visit.start - 1, -1):
        if register == FRAME_POINTER:
            break
        instruction = instructions[position]
        if not writes(instruction, register):
            continue
        match instruction:
            case Move(width=64, source=Register(number)):
                register = number
            case Alu(op=AluOp.ADD, width=64, source=Immediate(value)):
                distance += value
            case _:
                return None
    if register == FRAME_POINTER:
        return distance - FRAME_DISTANCE * visit.depth
    held = visit.state.registers[register]
    if type(held) is Pointer and held.kind is Kind.STACK and held.variable.constant is not None:
        return held.least + distance
    return None
