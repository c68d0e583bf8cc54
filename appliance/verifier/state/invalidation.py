"""What happens to every pointer of a kind at once: it was checked, given back, or the packet moved."""

from __future__ import annotations

from appliance.verifier.domains.values import (
    HELD_KINDS,
    LENT_KINDS,
    PACKET_KINDS,
    STALE,
    STRUCTURE_KINDS,
    Kind,
    Pointer,
    Value,
)
from appliance.verifier.state.stack import Cell
from appliance.verifier.state.state import NO_RANGES, NOTHING_OUTSIDE, State


def replace_pointers(state: State, kind: Kind, name: int, value: Value) -> None:
    """Every pointer of that kind and id, wherever it is, becomes `value`."""
    for register, held in enumerate(state.registers):
        if type(held) is Pointer and held.kind is kind and held.id == name:
            state.registers[register] = value
    for offset, cell in state.stack.items():
        held = cell.value
        if type(held) is Pointer and held.kind is kind and held.id == name:
            state.stack = {**state.stack, offset: Cell(8, value)}


def give_back(state: State, name: int) -> None:
    """The reference is gone, and every pointer that carries its name is dead."""
    state.references = {other: held for other, held in state.references.items() if other != name}
    state.forget_pointers(lambda pointer: (pointer.kind in HELD_KINDS and pointer.id == name) or pointer.owner == name)


def forget_lent_sockets(state: State) -> None:
    """A socket was released, and what was asked of it with it: what it was cast to is a structure of the kernel."""
    state.forget_pointers(lambda pointer: pointer.kind in LENT_KINDS or pointer.kind in STRUCTURE_KINDS)


def forget_packet(state: State) -> None:
    """The packet moved: every pointer into it is stale."""
    for register, held in enumerate(state.registers):
        if type(held) is Pointer and held.kind in PACKET_KINDS:
            state.registers[register] = STALE
    state.stack = {
        offset: Cell(cell.size, STALE) if type(cell.value) is Pointer and cell.value.kind in PACKET_KINDS else cell
        for offset, cell in state.stack.items()
    }
    state.ranges = NO_RANGES
    state.outside = NOTHING_OUTSIDE
