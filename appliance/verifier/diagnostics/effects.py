"""What one instruction did to a place that is followed back, and what it made it from: noted for a person.

copy            nothing to tell, unless a part is lost or it is the stack that is at fault
arithmetic      the place, changed, and its terms
load            from the stack: what was stored there; from elsewhere: here it was made
helper call     made, lost (r1 to r5), dead (the packet moved, what it was of was given back)
"""

from __future__ import annotations

from appliance.ebpf.isa.instructions import (
    FRAME_POINTER,
    Alu,
    Atomic,
    ByteSwap,
    CallHelper,
    Instruction,
    LegacyPacketLoad,
    Load,
    Negate,
    Store,
)
from appliance.verifier.diagnostics.notes import Notes
from appliance.verifier.domains.values import RANGED_KINDS, Pointer, is_lost
from appliance.verifier.exploration.origins import sources
from appliance.verifier.reports.path import Role
from appliance.verifier.state.partitions import Part, Place
from appliance.verifier.state.state import SAVED, State, Visit

_FRAME = Place(Part.REGISTER, FRAME_POINTER)


def made_from(
    notes: Notes, visit: Visit, index: int, place: Place, before: State, after: State, *, stores: bool
) -> set[Place] | None:
    """The places that the instruction made it from; None if it did nothing to it. `stores`: they are told, too."""
    instruction = notes.instructions[index]
    origins = sources(visit, index, place, notes.instructions)
    if origins is None and place.held(before) == place.held(after):
        return None
    if isinstance(instruction, CallHelper | LegacyPacketLoad):
        return behind_call(notes, index, instruction, place, before, after)
    notes.write(index, place)
    if origins is None:
        return _changed(notes, index, place, before, after)
    if isinstance(instruction, Alu | Negate | ByteSwap):
        notes.note(index, Role.CHANGED, notes.said(place, after))
        return {place, *origins}
    (source,) = origins if len(origins) == 1 else (None,)
    if source is None or (isinstance(instruction, Load) and source.part is Part.RANGE):
        notes.note(index, Role.MADE, notes.said(place, after))
        return _range_of(place, after)
    stored = isinstance(instruction, Store)
    differs = not stored and source.held(before) != place.held(after)
    if (stored and stores) or differs or (source == _FRAME and not notes.causes()):
        notes.note(index, Role.CHANGED, notes.said(place, after))
    return {source}


def _changed(notes: Notes, index: int, place: Place, before: State, after: State) -> set[Place]:
    """By a number in the instruction, or by the way."""
    if isinstance(notes.instructions[index], Atomic) and place.part is Part.REGISTER:
        notes.note(index, Role.MADE, notes.said(place, after))
        return set()
    if is_lost(place.value(after)) and not is_lost(place.value(before)):
        notes.note(index, Role.LOST, f"{notes.dead(place, before)} after this")
    else:
        notes.note(index, Role.CHANGED, notes.said(place, after))
    return {place}


def _range_of(place: Place, state: State) -> set[Place]:
    """With a pointer that was loaded, what is known of its memory already."""
    value = place.value(state)
    is_ranged = type(value) is Pointer and value.kind in RANGED_KINDS
    return {Place(Part.RANGE, value.id)} if is_ranged and type(value) is Pointer else set()


def behind_call(notes: Notes, index: int, call: Instruction, place: Place, before: State, after: State) -> set[Place]:
    """The same of a helper that was called."""
    if place.part is Part.REGISTER and place.at < SAVED.start:
        notes.write(index, place)
        if place.at and place.value(after) is None:
            notes.note(index, Role.LOST, notes.destroyed(place, before))
        else:
            notes.note(index, Role.MADE, notes.said(place, after))
        return set()
    if place.held(before) == place.held(after):
        return {place}
    notes.write(index, place)
    if place.part is Part.HELD or (place.part is Part.STACK and not is_lost(place.value(after))):
        notes.note(index, Role.MADE, notes.said(place, after))
        return set()
    if place.part is Part.RANGE:
        notes.note(index, Role.LOST, f"`{notes.helper(call)}` may move the packet: {notes.said(place, after)}")
        return set()
    notes.note(index, Role.LOST, f"{notes.dead(place, before)} after `{notes.helper(call)}`")
    return {place}
