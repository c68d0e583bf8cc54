"""What holds in both of two states, where paths meet.

Names (packet ids, null-check ids, references, links) mean something only inside one state, so a merge pairs them: a
name of the result stands for one pair of names, and two places share it exactly if they share a name in both states.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from appliance.verifier.domains import scalar
from appliance.verifier.domains.links import Cut, Link, holds_as
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import (
    DYNPTR_KINDS,
    HELD_KINDS,
    RANGED_KINDS,
    SLICE_KINDS,
    STALE,
    ZERO,
    Kind,
    Pointer,
    Value,
    shifted,
)
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.inclusion import KNOWN, MAYBE_NULL, are_stale, is_number_too, less_known
from appliance.verifier.state.references import Lock, Reference
from appliance.verifier.state.stack import Cell, Stack
from appliance.verifier.state.state import NO_RANGES, State

# Pointers that are joined by their distances from a common base.
_BASES = frozenset({Kind.STACK, Kind.MAP_VALUE}) | (HELD_KINDS - DYNPTR_KINDS)

# Pointers that are joined with themselves without a look at their names.
_UNNAMED = frozenset(Kind) - RANGED_KINDS - DYNPTR_KINDS - SLICE_KINDS - HELD_KINDS - KNOWN.keys()


def _stays(value: Value | None) -> bool:
    """Whether the value, joined with itself, is what it was."""
    return value is None or type(value) is Scalar or value.kind in _UNNAMED  # type: ignore[union-attr]


def join(a: State, b: State, fresh: Callable[[], int]) -> State:
    """What holds in both states, which hold the same things. `fresh` gives names that no state has."""
    return _Join(a, b, fresh).result()


class _Join:
    def __init__(self, a: State, b: State, fresh: Callable[[], int]) -> None:
        self._a = a
        self._b = b
        self._fresh = fresh
        self._names: dict[Hashable, int] = {}
        self._held: dict[int, tuple[int, int]] = {}
        self._ranges: dict[int, int] = {
            packet: min(length, b.proved(packet)) for packet, length in a.ranges.items() if packet in NO_RANGES
        }
        self._outside: dict[int, int] = {
            packet: max(length, b.missing(packet))
            for packet, length in a.outside.items()
            if packet in NO_RANGES and packet in b.outside
        }

    def result(self) -> State:
        registers = [
            a if a is b and _stays(a) else self._value(a, b) if a is not None and b is not None else None
            for a, b in zip(self._a.registers, self._b.registers, strict=True)
        ]
        stack = self._stack()
        links = self._links(registers, stack)
        references, lock = self._references(), self._lock()
        return State(registers, stack, self._ranges, links, self._a.depth, references, lock, outside=self._outside)

    def _references(self) -> dict[int, Reference]:
        """What is held, by the names that the pointers have now. Where no pointer is left, any of a kind are a pair."""
        held = {name: self._a.references[a] for name, (a, _) in self._held.items()}
        paired = {a for a, _ in self._held.values()}
        held.update({self._fresh(): reference for a, reference in self._a.references.items() if a not in paired})
        return held

    def _lock(self) -> Lock | None:
        a, b = self._a.lock, self._b.lock
        return a._replace(id=self._base(a.id, b.id)) if a is not None and b is not None else None

    def _base(self, a: int, b: int) -> int:
        """The name of a map value."""
        return a if a == b else self._name("value", a, b)

    def _reference(self, a: int, b: int) -> int | None:
        """The name of what is a in one state and b in the other; None if either was found to be something else: it is
        held then, but nobody can give it back."""
        for name, pair in self._held.items():
            if pair == (a, b):
                return name
            if a == pair[0] or b == pair[1]:
                return None
        if self._a.references[a] != self._b.references[b]:
            return None
        name = self._name("held", a, b)
        self._held[name] = a, b
        return name

    def _name(self, *pair: Hashable) -> int:
        name = self._names.get(pair)
        if name is None:
            name = self._names[pair] = self._fresh()
        return name

    def _value(self, a: Value, b: Value) -> Value | None:
        """A value that is either; None if nothing useful can be said, so that nobody may read it."""
        joined = self._either(a, b)
        if joined is None and all(type(value) is Scalar or is_number_too(value) for value in (a, b)):
            return scalar.UNKNOWN
        return joined

    def _either(self, a: Value, b: Value) -> Value | None:
        if type(a) is Scalar:
            if type(b) is Scalar:
                return a if a is b else scalar.join(a, b)
            return self._null_or(b, "right") if a == ZERO else None
        if type(b) is Scalar:
            return self._null_or(a, "left") if b == ZERO else None
        assert type(a) is Pointer and type(b) is Pointer
        return self._pointer(a, b)

    def _null_or(self, pointer: Value, side: str) -> Value | None:
        """Null on one path, a pointer that may be null on the other, or that was checked."""
        assert type(pointer) is Pointer
        kind = pointer.kind if pointer.kind in KNOWN else MAYBE_NULL.get(pointer.kind)
        if kind is None or pointer._replace(id=0, kind=kind) != Pointer(kind, map=pointer.map, type=pointer.type):
            return None
        name = self._name("null", side, pointer.kind, pointer.id, pointer.map, pointer.type)
        return Pointer(kind, id=name, map=pointer.map, type=pointer.type)

    def _pointer(self, a: Pointer, b: Pointer) -> Value | None:
        if a.map != b.map or a.size != b.size or a.type != b.type:
            return None
        if a.kind is not b.kind:
            if are_stale(a, b):
                return STALE
            less = less_known(a, b)
            if less is not None:
                return a._replace(kind=less) if a._replace(kind=less) == b._replace(kind=less) else None
            return self._maybe_null(a, b)
        if a.kind in RANGED_KINDS:
            return self._ranged(a, b)
        if a.kind in KNOWN:
            return a._replace(id=self._name("null", a.id, b.id))
        if a.kind in DYNPTR_KINDS:
            whole = self._dynptr(a.id, b.id) if a.offset == b.offset else None
            return None if whole is None else a._replace(id=whole)
        if a.kind in SLICE_KINDS:
            return self._slice(a, b)
        if a == b and a.kind not in HELD_KINDS:
            return a
        if a.kind in _BASES:
            name = self._same_base(a, b)
            offset = min(a.offset, b.offset)
            variable = scalar.join(shifted(a.variable, a.offset - offset), shifted(b.variable, b.offset - offset))
            return None if name is None else Pointer(a.kind, offset, variable, name, a.map, a.size)
        return None

    def _dynptr(self, a: int, b: int) -> int | None:
        """The name of the dynptr that is a in one state and b in the other; None if only one must be given back."""
        if (a in self._a.references) != (b in self._b.references):
            return None
        return self._reference(a, b) if a in self._a.references else self._name("dynptr", a, b)

    def _slice(self, a: Pointer, b: Pointer) -> Value | None:
        """A slice of one dynptr, of which both begin at the same place, or it is not known where."""
        owner = self._dynptr(a.owner, b.owner)
        if owner is None:
            return None
        offset = min(a.offset, b.offset)
        variable = scalar.join(shifted(a.variable, a.offset - offset), shifted(b.variable, b.offset - offset))
        name = self._name("slice", a.id, b.id) if a.kind is Kind.SLICE_OR_NULL else 0
        return Pointer(a.kind, offset, variable, name, None, a.size, owner)

    def _same_base(self, a: Pointer, b: Pointer) -> int | None:
        """The id of the memory that both point into; None if there is none that could be told."""
        if a.kind in HELD_KINDS:
            return self._reference(a.id, b.id)
        if a.kind is Kind.MAP_VALUE:
            return self._base(a.id, b.id)
        return a.id if a.id == b.id else None

    def _maybe_null(self, a: Pointer, b: Pointer) -> Value | None:
        """A pointer that was checked for null on one path only."""
        kind = a.kind if a.kind in KNOWN else b.kind
        if {a.kind, b.kind} != {KNOWN.get(kind), kind}:
            return None
        if a.offset or b.offset or a.variable != ZERO or b.variable != ZERO:
            return None
        return Pointer(kind, id=self._name("null", a.kind, a.id, b.kind, b.id), map=a.map, type=a.type)

    def _ranged(self, a: Pointer, b: Pointer) -> Value:
        """Packet pointers keep their distance from others with the same pair of ids: see the drawing.

        a:  base + variable_a + offset_a            offset = min(offset_a, offset_b)
        b:  base + variable_b + offset_b            new variable = variable_x + (offset_x - offset), either one's
        """
        if a.id == b.id and a.offset == b.offset and a.variable == b.variable:
            self._bound(a.id, a.id, b.id, 0, 0)
            return a
        offset = min(a.offset, b.offset)
        above_a, above_b = a.offset - offset, b.offset - offset
        variable = scalar.join(shifted(a.variable, above_a), shifted(b.variable, above_b))
        name = self._name(a.kind, a.id, b.id, above_a, above_b)
        self._bound(name, a.id, b.id, above_a, above_b)
        return Pointer(a.kind, offset, variable, name)

    def _bound(self, name: int, a: int, b: int, above_a: int, above_b: int) -> None:
        """What is known in both of where the packet ends, from the base of that name on."""
        self._ranges[name] = min(self._a.proved(a) - above_a, self._b.proved(b) - above_b)
        if a in self._a.outside and b in self._b.outside:
            self._outside[name] = max(self._a.missing(a) - above_a, self._b.missing(b) - above_b)

    def _stack(self) -> Stack:
        joined: dict[int, Cell] = {}
        a, b = self._a.stack, self._b.stack
        if a is b and all(_stays(cell.value) for cell in a.values()):
            return a
        for offset, cell in a.items():
            other = b.get(offset)
            if cell is other and _stays(cell.value):
                joined[offset] = cell
            elif other is not None and other.size == cell.size:
                value = self._value(cell.value, other.value)
                if value is not None:
                    joined[offset] = Cell(cell.size, value)
            elif type(cell.value) is Scalar:
                for at in range(offset, offset + cell.size):
                    self._byte(joined, at)
        return joined

    def _byte(self, joined: dict[int, Cell], at: int) -> None:
        """One byte where the cells of the two stacks differ."""
        a, b = (stack_cells.read(stack, at, 1) for stack in (self._a.stack, self._b.stack))
        if type(a) is Scalar and type(b) is Scalar:
            joined[at] = Cell(1, scalar.join(a, b))

    def _links(self, registers: list[Value | None], stack: Mapping[int, Cell]) -> dict[int, Link]:
        """Two places are tied in the same way in both states: to a number of each, which are now one number."""
        links: dict[int, Link] = {}
        for place, a in self._a.links.items():
            b = self._b.links.get(place)
            if b is None:
                continue
            if place >= 0:
                value = registers[place]
            else:
                same = self._a.stack[place].size == self._b.stack[place].size
                value = stack[place].value if same and place in stack else None
            cut = self._cut(place, a, b) if type(value) is Scalar else None
            if cut is not None:
                links[place] = Link(self._name("link", a.name, b.name, b.distance - a.distance), a.distance, cut)
        return links

    def _cut(self, place: int, a: Link, b: Link) -> Cut | None:
        """The cut by which both links hold."""
        if holds_as(a, self._a.number(place), b.cut):
            return b.cut
        return a.cut if holds_as(b, self._b.number(place), a.cut) else None
