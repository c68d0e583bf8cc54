"""Two states where paths meet: does one include the other, and what holds in both.

Names (packet ids, null-check ids, links) mean something only inside one state, so a merge pairs them: a name of the
result stands for one pair of names, and two places share it exactly if they share a name in both states.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from appliance.verifier import scalar
from appliance.verifier import stack as stack_cells
from appliance.verifier.scalar import Scalar
from appliance.verifier.stack import Cell
from appliance.verifier.state import NO_RANGES, UNPROVED, State
from appliance.verifier.values import NULLABLE, RANGED_KINDS, ZERO, Kind, Pointer, Value, shifted

_MAYBE_NULL: Mapping[Kind, Kind] = {kind: maybe for maybe, kind in NULLABLE.items()}


def includes(big: State, small: State) -> bool:
    """Every concrete state of `small` is one of `big`: what is safe from `big` is safe from `small`."""
    return _Inclusion(big, small).holds()


class _Inclusion:
    def __init__(self, big: State, small: State) -> None:
        self._big = big
        self._small = small
        self._names: dict[Hashable, Hashable] = {}

    def holds(self) -> bool:
        for big, small in zip(self._big.registers, self._small.registers, strict=True):
            if big is not None and not self._value(big, small):
                return False
        return self._stack() and self._links()

    def _same(self, name: Hashable, other: Hashable) -> bool:
        """A name of the big state stands for one thing of the small one, wherever it occurs."""
        return self._names.setdefault(name, other) == other

    def _value(self, big: Value, small: Value | None) -> bool:
        if type(big) is Scalar:
            return type(small) is Scalar and big.includes(small)
        assert type(big) is Pointer
        if big.kind in NULLABLE:
            return self._maybe_null(big, small)
        if type(small) is not Pointer or big.kind is not small.kind or big.map != small.map:
            return False
        beyond = small.offset - big.offset
        if not big.variable.includes(shifted(small.variable, beyond)):
            return False
        if big.kind not in RANGED_KINDS:
            return big.id == small.id
        if self._big.proved(big.id) > max(self._small.proved(small.id) - beyond, UNPROVED):
            return False
        return self._ranged(big, small, beyond)

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
        if small.kind is NULLABLE[big.kind]:
            return self._same(("null", big.id), "value")
        return small.kind is big.kind and self._same(("null", big.id), small.id)

    def _stack(self) -> bool:
        small_stack = self._small.stack
        for offset, cell in self._big.stack.items():
            other = small_stack.get(offset)
            value = other.value if other is not None and other.size == cell.size else None
            if value is None:
                value = stack_cells.read(small_stack, offset, cell.size)
            if not self._value(cell.value, value):
                return False
        return True

    def _links(self) -> bool:
        names: dict[int, int | None] = {}
        for place, name in self._big.links.items():
            other = self._small.links.get(place)
            if other is None or names.setdefault(name, other) != other:
                return False
        return True


def join(a: State, b: State, fresh: Callable[[], int]) -> State:
    """What holds in both states. `fresh` gives names that no state has."""
    return _Join(a, b, fresh).result()


class _Join:
    def __init__(self, a: State, b: State, fresh: Callable[[], int]) -> None:
        self._a = a
        self._b = b
        self._fresh = fresh
        self._names: dict[Hashable, int] = {}
        self._ranges: dict[int, int] = {
            packet: min(length, b.proved(packet)) for packet, length in a.ranges.items() if packet in NO_RANGES
        }

    def result(self) -> State:
        registers = [
            self._value(a, b) if a is not None and b is not None else None
            for a, b in zip(self._a.registers, self._b.registers, strict=True)
        ]
        stack = self._stack()
        return State(registers, stack, self._ranges, self._links(registers, stack), self._a.depth)

    def _name(self, *pair: Hashable) -> int:
        name = self._names.get(pair)
        if name is None:
            name = self._names[pair] = self._fresh()
        return name

    def _value(self, a: Value, b: Value) -> Value | None:
        """A value that is either; None if nothing useful can be said, so that nobody may read it."""
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
        kind = pointer.kind if pointer.kind in NULLABLE else _MAYBE_NULL.get(pointer.kind)
        if kind is None or pointer._replace(id=0, kind=kind) != Pointer(kind, map=pointer.map):
            return None
        name = self._name("null", side, pointer.kind, pointer.id, pointer.map)
        return Pointer(kind, id=name, map=pointer.map)

    def _pointer(self, a: Pointer, b: Pointer) -> Value | None:
        if a.map != b.map:
            return None
        if a.kind is not b.kind:
            return self._maybe_null(a, b)
        if a.kind in RANGED_KINDS:
            return self._ranged(a, b)
        if a.kind in NULLABLE:
            return a._replace(id=self._name("null", a.id, b.id))
        if a == b:
            return a
        if (a.kind is Kind.STACK or a.kind is Kind.MAP_VALUE) and a.id == b.id:
            offset = min(a.offset, b.offset)
            variable = scalar.join(shifted(a.variable, a.offset - offset), shifted(b.variable, b.offset - offset))
            return Pointer(a.kind, offset, variable, a.id, a.map)
        return None

    def _maybe_null(self, a: Pointer, b: Pointer) -> Value | None:
        """A pointer that was checked for null on one path only."""
        kind = a.kind if a.kind in NULLABLE else b.kind
        if {a.kind, b.kind} != {NULLABLE.get(kind), kind}:
            return None
        if a.offset or b.offset or a.variable != ZERO or b.variable != ZERO:
            return None
        return Pointer(kind, id=self._name("null", a.kind, a.id, b.kind, b.id), map=a.map)

    def _ranged(self, a: Pointer, b: Pointer) -> Value:
        """Packet pointers keep their distance from others with the same pair of ids: see the drawing.

        a:  base + variable_a + offset_a            offset = min(offset_a, offset_b)
        b:  base + variable_b + offset_b            new variable = variable_x + (offset_x - offset), either one's
        """
        if a.id == b.id and a.offset == b.offset and a.variable == b.variable:
            self._ranges[a.id] = min(self._a.proved(a.id), self._b.proved(a.id))
            return a
        offset = min(a.offset, b.offset)
        above_a, above_b = a.offset - offset, b.offset - offset
        variable = scalar.join(shifted(a.variable, above_a), shifted(b.variable, above_b))
        name = self._name(a.kind, a.id, b.id, above_a, above_b)
        self._ranges[name] = min(self._a.proved(a.id) - above_a, self._b.proved(b.id) - above_b)
        return Pointer(a.kind, offset, variable, name)

    def _stack(self) -> dict[int, Cell]:
        joined: dict[int, Cell] = {}
        a, b = self._a.stack, self._b.stack
        if a is b and not any(type(cell.value) is Pointer for cell in a.values()):
            return dict(a)
        for offset, cell in a.items():
            other = b.get(offset)
            if other is not None and other.size == cell.size:
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

    def _links(self, registers: list[Value | None], stack: Mapping[int, Cell]) -> dict[int, int]:
        links: dict[int, int] = {}
        for place, name in self._a.links.items():
            other = self._b.links.get(place)
            value = registers[place] if place >= 0 else (stack[place].value if place in stack else None)
            if other is not None and type(value) is Scalar:
                links[place] = self._name("link", name, other)
        return links
