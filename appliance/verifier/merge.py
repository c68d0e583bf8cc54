"""Two states where paths meet: does one include the other, and what holds in both.

Names (packet ids, null-check ids, references, links) mean something only inside one state, so a merge pairs them: a
name of the result stands for one pair of names, and two places share it exactly if they share a name in both states.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from appliance.verifier import scalar
from appliance.verifier import stack as stack_cells
from appliance.verifier.holdings import Lock, Reference
from appliance.verifier.links import Cut, Link, holds_as
from appliance.verifier.scalar import Scalar
from appliance.verifier.stack import Cell, Stack
from appliance.verifier.state import FARTHEST, NO_RANGES, UNPROVED, State
from appliance.verifier.values import (
    DYNPTR_KINDS,
    HELD_KINDS,
    NULLABLE,
    NUMBERS_TOO,
    RANGED_KINDS,
    SLICE_KINDS,
    STRUCTURES,
    ZERO,
    Kind,
    Pointer,
    Value,
    shifted,
)

# Pointers that are joined by their distances from a common base.
_BASES = frozenset({Kind.STACK, Kind.MAP_VALUE}) | (HELD_KINDS - DYNPTR_KINDS)

# What may be null in one state and be known in another. Not so what is held, or may die with a dynptr.
_MAYBE_NULL: Mapping[Kind, Kind] = {
    kind: maybe for maybe, kind in NULLABLE.items() if maybe not in HELD_KINDS | SLICE_KINDS
}
_KNOWN: Mapping[Kind, Kind] = {maybe: kind for kind, maybe in _MAYBE_NULL.items()}

# Pointers that are joined with themselves without a look at their names.
_UNNAMED = frozenset(Kind) - RANGED_KINDS - DYNPTR_KINDS - SLICE_KINDS - HELD_KINDS - _KNOWN.keys()


def includes(big: State, small: State) -> bool:
    """Every concrete state of `small` is one of `big`: what is safe from `big` is safe from `small`."""
    return _Inclusion(big, small).holds()


class _Inclusion:
    def __init__(self, big: State, small: State) -> None:
        self._big = big
        self._small = small
        self._names: dict[Hashable, Hashable] = {}

    def holds(self) -> bool:
        if self._big.holdings() != self._small.holdings() or not self._bases():
            return False
        for big, small in zip(self._big.registers, self._small.registers, strict=True):
            if big is None or (big is small and type(big) is Scalar):
                continue
            if not self._value(big, small):
                return False
        return self._stack() and self._links() and self._lock()

    def _bases(self) -> bool:
        """What is proved from bases on that the context gives at any time, whether a pointer is at hand now or not."""
        big, small = self._big, self._small
        return all(
            big.proved(base) <= small.proved(base) and big.missing(base) >= small.missing(base) for base in NO_RANGES
        )

    def _same(self, name: Hashable, other: Hashable) -> bool:
        """A name of the big state stands for one thing of the small one, wherever it occurs."""
        return self._names.setdefault(name, other) == other

    def _value(self, big: Value, small: Value | None) -> bool:
        if type(big) is Scalar:
            return big.includes(small) if type(small) is Scalar else big == scalar.UNKNOWN and _is_number_too(small)
        assert type(big) is Pointer
        if big.kind in _KNOWN:
            return self._maybe_null(big, small)
        if type(small) is not Pointer or (big.map, big.size, big.type) != (small.map, small.size, small.type):
            return False
        if big.kind is not small.kind and big.kind is not _less_known(big, small):
            return False
        beyond = small.offset - big.offset
        if not big.variable.includes(shifted(small.variable, beyond)):
            return False
        if big.kind in DYNPTR_KINDS:
            return big.offset == small.offset and self._dynptr(big.id, small.id)
        if big.kind in HELD_KINDS:
            return self._held(big.id, small.id)
        if big.kind in SLICE_KINDS:
            return self._dynptr(big.owner, small.owner) and self._same(("slice", big.id), small.id)
        if big.kind is Kind.MAP_VALUE:
            return self._base(big.id, small.id)
        if big.kind not in RANGED_KINDS:
            return big.id == small.id
        if self._big.proved(big.id) > max(self._small.proved(small.id) - beyond, UNPROVED):
            return False
        if self._big.missing(big.id) < min(self._small.missing(small.id) - beyond, FARTHEST):
            return False
        return self._ranged(big, small, beyond)

    def _lock(self) -> bool:
        big, small = self._big.lock, self._small.lock
        return big is None or small is None or self._base(big.id, small.id)

    def _base(self, big: int, small: int) -> bool:
        """A map value's name; 0 is that of a value whose address stands in the program."""
        return (big == 0) == (small == 0) and self._same(("value", big), small)

    def _held(self, big: int, small: int) -> bool:
        """What is one thing in one state is one in the other: given back once, it is gone in both."""
        return (
            self._big.references[big] == self._small.references[small]
            and self._same(("held", big), small)
            and self._same(("holder", small), big)
        )

    def _dynptr(self, big: int, small: int) -> bool:
        """One that must be given back, or both are none of those: they end alike."""
        if big in self._big.references or small in self._small.references:
            return big in self._big.references and small in self._small.references and self._held(big, small)
        return self._same(("dynptr", big), small) and self._same(("dynptr of", small), big)

    def _ranged(self, big: Pointer, small: Pointer, beyond: int) -> bool:
        """The packet's start is no unknown distance: it includes itself only."""
        if big.id in NO_RANGES:
            return big.id == small.id and not beyond
        return self._same(big.id, (small.id, beyond))

    def _maybe_null(self, big: Pointer, small: Value | None) -> bool:
        """Null, a pointer that was checked, or one that was not."""
        if small == ZERO:
            return self._same(("null", big.id), "null")
        if type(small) is not Pointer or small._replace(kind=big.kind, id=big.id) != big:
            return False
        if small.kind is _KNOWN[big.kind]:
            return self._same(("null", big.id), ("value", small.id))
        return small.kind is big.kind and self._same(("null", big.id), small.id)

    def _stack(self) -> bool:
        small_stack = self._small.stack
        for offset, cell in self._big.stack.items():
            other = small_stack.get(offset)
            if other is cell and type(cell.value) is Scalar:
                continue
            value = other.value if other is not None and other.size == cell.size else None
            if value is None:
                value = stack_cells.read(small_stack, offset, cell.size)
            if not self._value(cell.value, value):
                return False
        return True

    def _links(self) -> bool:
        """A link of the big state holds in the small one, where the common number may be another one."""
        names: dict[int, tuple[int, int]] = {}
        for place, link in self._big.links.items():
            other = self._small.links.get(place)
            if other is None or not self._same_size(place):
                return False
            if other.cut != link.cut and not holds_as(other, self._small.number(place), link.cut):
                return False
            common = (other.name, other.distance - link.distance)
            if names.setdefault(link.name, common) != common:
                return False
        return True

    def _same_size(self, place: int) -> bool:
        """A link of a stack cell speaks of all of its bytes."""
        return place >= 0 or self._big.stack[place].size == self._small.stack[place].size


def _less_known(a: Pointer, b: Pointer) -> Kind | None:
    """Of two pointers to structures of the kernel, what is known of both; None if either is another pointer."""
    if a.kind not in STRUCTURES or b.kind not in STRUCTURES:
        return None
    return STRUCTURES[max(STRUCTURES.index(a.kind), STRUCTURES.index(b.kind))]


def _is_number_too(value: Value | None) -> bool:
    return type(value) is Pointer and value.kind in NUMBERS_TOO


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
        if joined is None and all(type(value) is Scalar or _is_number_too(value) for value in (a, b)):
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
        kind = pointer.kind if pointer.kind in _KNOWN else _MAYBE_NULL.get(pointer.kind)
        if kind is None or pointer._replace(id=0, kind=kind) != Pointer(kind, map=pointer.map, type=pointer.type):
            return None
        name = self._name("null", side, pointer.kind, pointer.id, pointer.map, pointer.type)
        return Pointer(kind, id=name, map=pointer.map, type=pointer.type)

    def _pointer(self, a: Pointer, b: Pointer) -> Value | None:
        if a.map != b.map or a.size != b.size or a.type != b.type:
            return None
        if a.kind is not b.kind:
            less = _less_known(a, b)
            if less is not None:
                return a._replace(kind=less) if a._replace(kind=less) == b._replace(kind=less) else None
            return self._maybe_null(a, b)
        if a.kind in RANGED_KINDS:
            return self._ranged(a, b)
        if a.kind in _KNOWN:
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
        kind = a.kind if a.kind in _KNOWN else b.kind
        if {a.kind, b.kind} != {_KNOWN.get(kind), kind}:
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
