"""A state in words: what is known of every place that holds something, by the place's name.

r1             a pointer to the packet, at +14 (20 bytes are inside from there)
r10-8, 8 bytes 0 to 1500
packet         34 bytes are inside
same number    r2, r7
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from appliance.ebpf.isa.instructions import FRAME_POINTER, STACK_SIZE
from appliance.verifier.domains import scalar
from appliance.verifier.domains.links import Link
from appliance.verifier.domains.values import (
    APP_ID_START,
    FRAME_DISTANCE,
    METADATA_START,
    PACKET_START,
    RANGED_KINDS,
    ZERO,
    Pointer,
    Value,
    describe,
)
from appliance.verifier.state.state import State

MOST_CELLS = 24  # of the stack, that are told one by one
_STARTS = {PACKET_START: "packet", METADATA_START: "metadata", APP_ID_START: "application's path"}


def facts(state: State) -> dict[str, str]:
    """By place, what is there, in the order in which it is shown. Places that may not be read are left out."""
    told = {f"r{n}": _value(state, held) for n, held in enumerate(state.registers[:FRAME_POINTER]) if held is not None}
    told.update(_stack(state))
    for start, name in _STARTS.items():
        if state.proved(start) > 0:
            told[name] = f"{_bytes(state.proved(start))} inside"
    told.update(_same_numbers(state))
    told.update(_held_references(state))
    return told


def _bytes(count: int) -> str:
    return "1 byte is" if count == 1 else f"{count} bytes are"


def _value(state: State, held: Value) -> str:
    words = describe(held)
    if type(held) is Pointer and held.kind in RANGED_KINDS and held.id not in _STARTS:
        inside = state.proved(held.id) - held.offset
        if inside > 0:
            words += f" ({_bytes(inside)} inside from there)"
    return words


def _stack(state: State) -> Iterator[tuple[str, str]]:
    """Neighbours that hold zeros, or any numbers, are told together."""
    runs: list[tuple[int, int, Value]] = []
    for at, (size, value) in sorted(state.stack.items()):
        if runs and runs[-1][1] == at and value == runs[-1][2] and value in (ZERO, scalar.UNKNOWN) and at % 512:
            runs[-1] = runs[-1][0], at + size, value
        else:
            runs.append((at, at + size, value))
    for low, high, value in runs[-MOST_CELLS:]:
        yield _cell_name(state, low, high - low), _value(state, value)
    if len(runs) > MOST_CELLS:
        yield "stack", f"{len(runs) - MOST_CELLS} places more"


def _cell_name(state: State, at: int, size: int) -> str:
    frame = (-at - 1) // FRAME_DISTANCE
    owner = "" if frame == state.depth else "the main program's " if frame == 0 else f"caller {frame}'s "
    offset = at + FRAME_DISTANCE * frame
    assert -STACK_SIZE <= offset < 0
    return f"{owner}r10{offset}, {size} byte{'s' if size > 1 else ''}"


def _same_numbers(state: State) -> Iterator[tuple[str, str]]:
    groups: dict[Link, list[str]] = {}
    for place, link in sorted(state.links.items(), key=lambda item: (item[0] < 0, item[0])):
        if place < 0:
            groups.setdefault(link, []).append(_cell_name(state, place, state.stack[place].size))
        elif place < FRAME_POINTER:
            groups.setdefault(link, []).append(f"r{place}")
    for places in sorted(group for group in groups.values() if len(group) > 1):
        yield f"the number in {places[0]}", f"also in {' and in '.join(places[1:])}"


def _held_references(state: State) -> Iterator[tuple[str, str]]:
    for number, reference in enumerate(sorted(state.references.values()), 1):
        what = f"a record of map `{reference.map}`" if reference.map is not None else "a socket"
        yield f"held {number}", f"{what}{', if there is one' if reference.may_be_null else ''}"
    if state.lock is not None:
        yield "lock", f"that of a value of map `{state.lock.map}`"


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is new or different, and the names of what is not there any more."""
    new = [f"{place}: {words}" for place, words in after.items() if before.get(place) != words]
    gone = [place for place in before if place not in after]
    return [*new, *([f"no more: {'; '.join(gone)}"] if gone else [])]
