"""Which states must be kept apart, so that a demand which failed may be met.

What the instruction wanted is followed back through the history, instruction by instruction: a copy to its source, a
sum to its terms, a load from the stack to what was stored there. Every join that it passes gets a partition by the
place that it is in there; behind a join, only the arrivals are followed that know no more than the join does. If no
arrival anywhere knew more, no join is to blame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from appliance.ebpf.instructions import (
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
from appliance.ebpf.opcodes import AluOp
from appliance.ebpf.platform import Platform
from appliance.verifier import liveness
from appliance.verifier import stack as stack_cells
from appliance.verifier.effort import Refused
from appliance.verifier.history import Visit
from appliance.verifier.places import ANYWHERE, END, Part, Partitions, Place, Point
from appliance.verifier.state import REGISTERS, SAVED, State
from appliance.verifier.values import FRAME_DISTANCE, PACKET_START, Kind, Pointer

_Step: TypeAlias = tuple[Visit, int, Place]  # a place before the instruction of that index, or at the visit's start


def refined(
    partitions: Partitions, refused: Refused, instructions: Sequence[Instruction], platform: Platform
) -> Partitions | None:
    """The partitions and what the demand that failed calls for; None if no join is to blame."""
    if refused.state is None or refused.state.past is None or refused.index >= len(instructions):
        return None
    found: dict[tuple[Visit, Place], None] = {}
    blamed = False
    wanted = _wanted(refused.state, instructions[refused.index], platform)
    work: list[_Step] = [(refused.state.past, refused.index, place) for place in wanted]
    while work:
        visit, index, place = work.pop()
        for origin in _origins(visit, index, place, instructions):
            if (visit, origin) in found:
                continue
            found[visit, origin] = None
            blamed |= _follow(visit, origin, work)
    if not blamed:
        return None
    more = dict(partitions)
    for visit, place in found:
        if len(visit.arrivals) > 1:
            point, apart = _cure(visit, place)
            if apart not in more.get(point, ()):
                more[point] = (*more.get(point, ()), apart)
    return more if more != partitions else None


def _cure(visit: Visit, place: Place) -> tuple[Point, Place]:
    """Where to keep states apart from now on, and by what. What is something on one path and nothing (or something of
    another kind) on the other is lost at every join on the way to where it is used, so it is kept apart all the way."""
    outline = place.in_outline()
    if outline is not None and len({outline.held(arrival.state) for arrival in visit.arrivals}) > 1:
        return Point(visit.point.function, ANYWHERE), outline
    return visit.point, place


def _wanted(state: State, instruction: Instruction, platform: Platform) -> Iterator[Place]:
    """The registers that it reads, and bytes of the stack behind them that it may miss."""
    reads = liveness.register_effects(instruction, platform.helpers)[0]
    for register in range(REGISTERS):
        if not reads >> register & 1:
            continue
        if register != FRAME_POINTER:
            yield Place(Part.REGISTER, register)
        value = state.registers[register]
        if type(value) is not Pointer or value.kind is not Kind.STACK or value.variable.constant is None:
            continue
        if isinstance(instruction, Load):
            yield Place(Part.STACK, value.least + instruction.offset, instruction.size)
        elif not isinstance(instruction, Store):
            for at in range(value.least, value.base):
                if stack_cells.first_unreadable(state.stack, at, at + 1) is not None:
                    yield Place(Part.STACK, at, 1)


def _follow(visit: Visit, place: Place, work: list[_Step]) -> bool:
    """Back from the start of a visit, into the visits before it. Tells whether a join lost something here."""
    known = place.held(visit.state)
    differ = False
    for arrival in visit.arrivals:
        if place.held(arrival.state) != known:
            differ = True
        elif arrival.before is not None:
            moved = _across(visit, arrival.before, place)
            if moved is not None:
                work.append((arrival.before, _last(visit, arrival.before), moved))
    return differ


def _across(visit: Visit, before: Visit, place: Place) -> Place | None:
    """The same place in the visit before, which may be of another function; None if it was not there."""
    if place.part is not Part.REGISTER or visit.depth == before.depth:
        return place
    if visit.depth > before.depth:  # a function was called: what its caller saved is where it was
        saved = place.at - (REGISTERS + (before.depth * (SAVED.stop - SAVED.start)))
        return place._replace(at=SAVED.start + saved) if 0 <= saved < SAVED.stop - SAVED.start else place
    saved = REGISTERS + visit.depth * (SAVED.stop - SAVED.start)
    if place.at in range(SAVED.start, SAVED.stop):
        return place._replace(at=saved + place.at - SAVED.start)
    return place


def _last(visit: Visit, before: Visit) -> int:
    """One past the last instruction of the visit before that had a part in it."""
    return before.end - 1 if visit.depth > before.depth else before.end


def _origins(visit: Visit, index: int, place: Place, instructions: Sequence[Instruction]) -> list[Place]:
    """What the place depends upon, at the start of the visit."""
    places = {place}
    if visit.point.block == END:
        return [place]
    for position in range(index - 1, visit.start - 1, -1):
        for one in tuple(places):
            sources = _sources(visit, position, one, instructions)
            if sources is not None:
                places.discard(one)
                places.update(sources)
    return list(places)


def _sources(visit: Visit, index: int, place: Place, instructions: Sequence[Instruction]) -> tuple[Place, ...] | None:
    """The places that an instruction makes the place from; None if it does not change it."""
    instruction = instructions[index]
    if place.part is Part.STACK:
        if not isinstance(instruction, Store):
            return None
        at = _stack_offset(visit, index, instruction.base, instructions)
        if at is None or not (at + instruction.offset < place.at + place.size):
            return None
        if at + instruction.offset + instruction.size <= place.at:
            return None
        source = instruction.source
        return (Place(Part.REGISTER, source.number),) if isinstance(source, Register) else ()
    if place.part is Part.RANGE or not _writes(instruction, place.at):
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


def _writes(instruction: Instruction, register: int) -> bool:
    if isinstance(instruction, Alu | Negate | ByteSwap):
        return instruction.dst == register
    return bool(liveness.register_effects(instruction, {})[1] >> register & 1)


def _stack_offset(visit: Visit, index: int, register: int, instructions: Sequence[Instruction]) -> int | None:
    """Where on the stack the register points to before that instruction; None if it is not seen to."""
    distance = 0
    for position in range(index - 1, visit.start - 1, -1):
        instruction = instructions[position]
        if not _writes(instruction, register):
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
