"""What a place holds, in a person's words, with the numbers that are known there."""

from __future__ import annotations

from appliance.verifier.domains.values import FRAME_DISTANCE, RANGED_KINDS, ZERO, Kind, Pointer, Value
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.partitions import Part, Place
from appliance.verifier.state.references import Lock
from appliance.verifier.state.state import REGISTERS, SAVED, State

NOTHING = "nothing that may be read"

# What the bytes that are known to be inside are counted from.
_STARTS = {Kind.PACKET: "data", Kind.METADATA: "data_meta", Kind.APP_ID: "app_id_start"}


def name_of(place: Place, state: State) -> str:
    """How the place is called in that state's function."""
    if place.part is Part.REGISTER:
        return f"r{place.at}" if place.at < REGISTERS else f"the caller's r{SAVED.start + (place.at - REGISTERS) % 4}"
    if place.part is Part.STACK:
        frame = -place.at // FRAME_DISTANCE
        low = place.at + frame * FRAME_DISTANCE
        whose = "the stack's" if frame == state.depth else "the caller's stack's"
        return f"{whose} {f'byte {low}' if place.size == 1 else f'bytes {low} to {low + place.size - 1}'}"
    if place.part is Part.RANGE:
        return "the packet"
    return "what was taken"


def said_of(environment: Environment, place: Place, state: State) -> str:
    """The place and what it holds: a whole sentence."""
    if place.part is Part.RANGE:
        return f"{_bytes_known(state.proved(place.at))} from `data` on are known to be inside"
    if place.part is Part.HELD:
        return _held(place, state)
    name, value = name_of(place, state), place.value(state)
    if value is None:
        return f"{name} hold{'' if place.part is Part.STACK and place.size > 1 else 's'} {NOTHING}"
    verb = "hold" if place.part is Part.STACK and place.size > 1 else "holds" if place.part is Part.STACK else "is"
    return f"{name} {verb} {words_of(environment, value, state)}"


def learned_of(environment: Environment, place: Place, before: State, after: State) -> str:
    """What is said of a place behind a branch; of a pointer that is as it was, how much of its memory is there."""
    old, new = place.value(before), place.value(after)
    if type(old) is Pointer and type(new) is Pointer and new.kind in RANGED_KINDS and old._replace(id=new.id) == new:
        proved = after.proved(new.id)
        if proved - new.offset <= 0 and new.variable.constant is None:
            return f"{name_of(place, after)} is not past the end"
        return f"{_inside(new, proved)} are known to be inside"
    return said_of(environment, place, after)


def words_of(environment: Environment, value: Value | None, state: State) -> str:
    """A value, with the size of what it points to where that is known."""
    if value is None:
        return NOTHING
    if type(value) is not Pointer:
        return str(value)
    if value.kind in RANGED_KINDS:
        return f"{value}, with {_inside(value, state.proved(value.id))} known to be inside"
    if value.kind in (Kind.MAP_VALUE, Kind.MAP_VALUE_OR_NULL) and value.map is not None:
        return _sized(value, environment.map(value.map).value_size)
    if value.kind in (Kind.RECORD, Kind.RECORD_OR_NULL, Kind.SLICE, Kind.SLICE_OR_NULL):
        return _sized(value, value.size)
    return str(value)


def _inside(pointer: Pointer, proved: int) -> str:
    """How much of the memory behind a pointer is known to be there: from where on it is counted, too."""
    if pointer.variable.constant is None:
        return f"{_bytes_known(proved - pointer.offset)} from there on"
    return f"{_bytes_known(proved)} from `{_STARTS[pointer.kind]}` on"


def _bytes_known(count: int) -> str:
    return "no bytes" if count <= 0 else f"{count} byte{'' if count == 1 else 's'}"


def _sized(pointer: Pointer, size: int) -> str:
    start = str(pointer._replace(offset=0, variable=ZERO))
    return f"{start} ({size} byte{'' if size == 1 else 's'}){str(pointer).removeprefix(start)}"


def _held(place: Place, state: State) -> str:
    taken = place.taken(state)
    if taken is None:
        return "nothing is held"
    if isinstance(taken, Lock):
        return f"the lock of a value of map `{taken.map}` is held"
    what = "socket" if taken.map is None else "dynptr" if taken.dynptr else "record"
    of = "" if taken.map is None else f" of map `{taken.map}`"
    return f"a {what}{of} {'may be' if taken.may_be_null else 'is'} held"
