"""What a call of a function does to the state, and its end: a frame more, and a frame less."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.ebpf.isa.instructions import FRAME_POINTER, STACK_SIZE
from appliance.verifier.domains.values import FRAME_DISTANCE, Kind, Pointer, Value
from appliance.verifier.state.stack import Cell
from appliance.verifier.state.state import SAVED, State


def enter(state: State) -> None:
    """A call of a function of the program: it gets r1 to r5 and a frame of its own; r6 to r9 wait for its end."""
    saved = len(state.registers)
    state.registers += state.registers[SAVED]
    state.depth += 1
    _rename(state, {register: saved + n for n, register in enumerate(range(SAVED.start, SAVED.stop))})
    for register in (0, *range(SAVED.start, SAVED.stop)):
        state.set(register, None)
    state.registers[FRAME_POINTER] = Pointer(Kind.STACK, -FRAME_DISTANCE * state.depth, id=state.depth)


def leave(state: State) -> None:
    """The end of a called function: its frame is gone, and the key that it was called back with. r0 is its result,
    r1 to r5 are lost, r6 to r9 are back."""
    gone, state.depth = state.depth, state.depth - 1
    saved = len(state.registers) - (SAVED.stop - SAVED.start)
    for register in range(1, SAVED.stop):
        state.set(register, None)
    state.registers[SAVED] = state.registers[saved:]
    del state.registers[saved:]
    _rename(state, {saved + n: register for n, register in enumerate(range(SAVED.start, SAVED.stop))})
    limit = -FRAME_DISTANCE * gone
    state.unlink_stack(limit - STACK_SIZE, limit)
    left = ((at, _cell_left(cell, gone)) for at, cell in state.stack.items() if at >= limit)
    state.stack = {at: cell for at, cell in left if cell is not None}
    state.registers = [_left_of(value, gone) for value in state.registers]
    state.registers[FRAME_POINTER] = Pointer(Kind.STACK, -FRAME_DISTANCE * state.depth, id=state.depth)


def _rename(state: State, places: Mapping[int, int]) -> None:
    """Links of registers that moved to other places; the new places had none."""
    if state.links:
        state.links = {places.get(place, place): link for place, link in state.links.items()}


def _cell_left(cell: Cell, frame: int) -> Cell | None:
    value = _left_of(cell.value, frame)
    if value is cell.value:
        return cell  # states that share it are compared sooner
    return Cell(cell.size, value) if value is not None else None


def _left_of(value: Value | None, frame: int) -> Value | None:
    """What is left of a value when that frame is gone: nothing of a pointer into it, and nothing to be read behind one
    to the key that it was given."""
    if type(value) is not Pointer or value.id != frame:
        return value
    if value.kind is Kind.MAP_KEY:
        return Pointer(Kind.GONE_KEY, map=value.map)
    return None if value.kind is Kind.STACK else value
