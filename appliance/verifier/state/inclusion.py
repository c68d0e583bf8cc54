"""Whether one state includes another: what is safe from the one is safe from the other.

Names (packet ids, null-check ids, references, links) mean something only inside one state. A name of the greater state
stands for one thing of the smaller one, wherever it occurs.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from appliance.verifier.domains import scalar
from appliance.verifier.domains.links import holds_as
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import (
    DYNPTR_KINDS,
    HELD_KINDS,
    NULLABLE,
    NUMBERS_TOO,
    PACKET_KINDS,
    RANGED_KINDS,
    SLICE_KINDS,
    STALE,
    STRUCTURES,
    ZERO,
    Kind,
    Pointer,
    Value,
    shifted,
)
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.state import NEVER_SHORT, NO_RANGES, UNPROVED, State

# What may be null in one state and be known in another. Not so what is held, or may die with a dynptr.
MAYBE_NULL: Mapping[Kind, Kind] = {
    kind: maybe for maybe, kind in NULLABLE.items() if maybe not in HELD_KINDS | SLICE_KINDS
}
KNOWN: Mapping[Kind, Kind] = {maybe: kind for kind, maybe in MAYBE_NULL.items()}


def includes(big: State, small: State) -> bool:
    """Every concrete state of `small` is one of `big`: what is safe from `big` is safe from `small`."""
    return _Inclusion(big, small).holds()


class _Inclusion:
    def __init__(self, big: State, small: State) -> None:
        self._big = big
        self._small = small
        self._names: dict[Hashable, Hashable] = {}

    def holds(self) -> bool:
        if self._big.held_references() != self._small.held_references() or not self._bases():
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
            return big.includes(small) if type(small) is Scalar else big == scalar.UNKNOWN and is_number_too(small)
        assert type(big) is Pointer
        if big.kind in KNOWN:
            return self._maybe_null(big, small)
        if big == STALE:
            return type(small) is Pointer and (small == STALE or are_stale(big, small))
        if type(small) is not Pointer or (big.map, big.size, big.type) != (small.map, small.size, small.type):
            return False
        if big.kind is not small.kind and big.kind is not less_known(big, small):
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
        if self._big.missing(big.id) < min(self._small.missing(small.id) - beyond, NEVER_SHORT):
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
        if small.kind is KNOWN[big.kind]:
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


def are_stale(a: Pointer, b: Pointer) -> bool:
    """One is of the packet as it was, and the other of the packet as it was or is: what is true of the one, that it may
    be subtracted from another such pointer, is true of both."""
    return (a.kind is Kind.STALE and b.kind in PACKET_KINDS) or (b.kind is Kind.STALE and a.kind in PACKET_KINDS)


def less_known(a: Pointer, b: Pointer) -> Kind | None:
    """Of two pointers to structures of the kernel, what is known of both; None if either is another pointer."""
    if a.kind not in STRUCTURES or b.kind not in STRUCTURES:
        return None
    return STRUCTURES[max(STRUCTURES.index(a.kind), STRUCTURES.index(b.kind))]


def is_number_too(value: Value | None) -> bool:
    """Whether a pointer may be taken for a number, where that is all that is known."""
    return type(value) is Pointer and value.kind in NUMBERS_TOO
