"""Parts of a state by which states can be told apart, and the points at which they are: partitions.

    register    what it holds; of a pointer into memory of unknown length, also how much of that is proved
    stack       some bytes: what they hold together
    range       how much is proved of a packet id
    held        what was taken by an instruction and must be given back: a reference, or the lock

States in which a place holds different things are kept apart at a point for which the partition names that place; or
things of different kinds, if the place is an outline. An outline is cheap, for there are few kinds, and a place that
nobody reads any more holds nothing: so it is asked of all points of a function (ANYWHERE).
Whatever is kept apart, the proof is sound: only what is joined loses something.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from appliance.verifier.domains.values import RANGED_KINDS, Pointer, Value
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.points import Point
from appliance.verifier.state.references import Lock, Reference
from appliance.verifier.state.state import State


class Part(StrEnum):
    """Where a place is."""

    REGISTER = "register"
    STACK = "stack"
    RANGE = "range"
    HELD = "held"


class Place(NamedTuple):
    """An index of State.registers, `size` bytes at a stack offset, a packet id, or the index of an instruction.
    `outline`: only the kind of what it holds counts."""

    part: Part
    at: int
    size: int = 8
    outline: bool = False

    def held(self, state: State) -> Hashable:
        """What the place holds, without names: those mean nothing outside of their state."""
        if self.part is Part.RANGE:
            return state.proved(self.at)
        if self.part is Part.HELD:
            return self.taken(state)
        value = self.value(state)
        return _kind_of(value) if self.outline else _told(state, value)

    def in_outline(self) -> Place | None:
        """The same place, told by kinds alone; None for what has none."""
        return self._replace(outline=True) if self.part in (Part.REGISTER, Part.STACK) else None

    def value(self, state: State) -> Value | None:
        """What a register or some bytes of the stack hold; None for other places."""
        if self.part is Part.STACK:
            return stack_cells.read(state.stack, self.at, self.size)
        known = self.part is Part.REGISTER and self.at < len(state.registers)
        return state.registers[self.at] if known else None

    def taken(self, state: State) -> Reference | Lock | None:
        """What is held since that instruction."""
        if state.lock is not None and state.lock.at == self.at:
            return state.lock
        return next((held for held in state.references.values() if held.at == self.at), None)


def _kind_of(value: Value | None) -> Hashable:
    if type(value) is Pointer:
        return value.kind, value.map, value.type
    return value is None


def _told(state: State, value: Value | None) -> Hashable:
    if type(value) is not Pointer:
        return value
    return value._replace(id=0, owner=0), state.proved(value.id) if value.kind in RANGED_KINDS else 0


Partitions: TypeAlias = dict[Point, tuple[Place, ...]]
