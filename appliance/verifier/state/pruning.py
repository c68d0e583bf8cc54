"""Forgetting what nobody reads any more, so that states that differ in nothing else are alike."""

from __future__ import annotations

from appliance.ebpf.isa.instructions import FRAME_POINTER, STACK_SIZE
from appliance.verifier.domains.values import FRAME_DISTANCE, Pointer
from appliance.verifier.state.state import NO_RANGES, REGISTERS, State


def prune(state: State, live: int) -> None:
    """Forget what nobody reads any more. `live` has a bit per register and per stack byte (see `liveness`)."""
    registers = state.registers
    for register in range(FRAME_POINTER):
        if not live >> register & 1:
            registers[register] = None
    if state.stack:
        _keep_stack(state, live >> REGISTERS)
    if state.links:
        _keep_links(state)
    if len(state.ranges) > len(NO_RANGES) or state.outside:
        _keep_ranges(state)


def _keep_stack(state: State, live: int) -> None:
    """Forget dead bytes of the current frame. Bit 0 of `live` is the lowest byte of the frame."""
    lowest = -FRAME_DISTANCE * state.depth - STACK_SIZE
    dead = [
        at
        for at, cell in state.stack.items()
        if at < lowest + STACK_SIZE and not live >> (at - lowest) & ((1 << cell.size) - 1)
    ]
    if dead:
        state.stack = {at: cell for at, cell in state.stack.items() if at not in dead}


def _keep_links(state: State) -> None:
    names: dict[int, int] = {}
    held = {
        place: link
        for place, link in state.links.items()
        if (state.registers[place] is not None if place >= 0 else place in state.stack)
    }
    for link in held.values():
        names[link.name] = names.get(link.name, 0) + 1
    state.links = {place: link for place, link in held.items() if names[link.name] > 1}


def _keep_ranges(state: State) -> None:
    used = {value.id for value in state.registers if type(value) is Pointer}
    used.update(cell.value.id for cell in state.stack.values() if type(cell.value) is Pointer)
    used.update(NO_RANGES)
    state.ranges = {packet: length for packet, length in state.ranges.items() if packet in used}
    state.outside = {packet: length for packet, length in state.outside.items() if packet in used}
