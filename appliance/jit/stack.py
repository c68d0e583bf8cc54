"""The stack of a subprogram, taken apart into the objects that its instructions use.

         -96                 -32      -28             -16        -8      r10
          +-------------------+--------+---------------+----------+-------+
          | array, looked at  | unused | buffer, given | r6,      | value |
          | by a computed     |        | to a function | spilled  |       |
          | index             |        | of the program|          |       |
          +-------------------+--------+---------------+----------+-------+
                  │                        │                └─────────┴── LLVM: registers
                  │                        └── shared: real memory, of which r10 is the end
                  └── LLVM: 64 bytes of the native stack, which nothing else can be in

One buffer of 512 bytes would stay in memory whole as soon as one helper gets a pointer into it, or one index is not
known: LLVM can't tell that the rest is left alone. The verifier can (StackFacts). What overlaps becomes one object,
each with a buffer of its own, and an access that keeps to one object starts from its buffer and not from r10:

    offset known      buffer + constant
    offset computed   buffer + (pointer - r10) - constant

What others than the subprogram's own instructions touch they reach through the pointer that they were given, so it is
in one buffer, at its true distance from r10. If there is none, r10 is a number that only such differences are made of.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.ebpf.isa.instructions import STACK_SIZE
from appliance.ir import I64, U64, Code, Pointer
from appliance.verifier.program import Extent, VerifiedProgram

ALIGNMENT = 8
NOWHERE = 1 << 46  # r10 of a stack without shared memory; not 0, as a program may compare a pointer with null
WHOLE: Extent = (-STACK_SIZE, 0)


@dataclass(frozen=True, slots=True)
class StackLayout:
    """The objects of one subprogram, lowest first and without overlap. Those in `shared` lie in one buffer. `cleared`:
    they start as zero, as the program may read what it never wrote. A proved one doesn't, and 512 bytes are much to
    clear for every frame."""

    extents: tuple[Extent, ...]
    shared: frozenset[Extent] = frozenset()
    cleared: bool = False


UNKNOWN = StackLayout((WHOLE,), frozenset({WHOLE}), cleared=True)


def stack_layout(program: VerifiedProgram, entry: int, indices: Iterable[int]) -> StackLayout:
    """The objects of the subprogram that starts at `entry` and has the instructions `indices`."""
    facts = program.facts.stack
    if facts is None:
        return UNKNOWN
    instructions, shared = frozenset(indices), facts.shared.get(entry, ())
    own = [extent for (index, _), extent in facts.own.items() if index in instructions]
    merged: list[Extent] = []
    for low, high in sorted({*own, *shared}):
        if merged and low < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    together = {extent for extent in merged if any(extent[0] <= low < extent[1] for low, _ in shared)}
    return StackLayout(tuple(merged), frozenset(together))


class Stack:
    """The objects of one subprogram in generated code. For one thread."""

    def __init__(self, code: Code, layout: StackLayout) -> None:
        self._code = code
        self._starts = [start for start, _ in layout.extents]
        self._objects: list[tuple[Pointer, int]] = []  # a buffer, and the distance from r10 at which it begins
        self._end: U64 = code.value(NOWHERE, I64)
        shared = self._shared(layout)
        for extent in layout.extents:
            self._objects.append(shared if extent in layout.shared and shared else self._buffer(extent, layout.cleared))

    def _shared(self, layout: StackLayout) -> tuple[Pointer, int] | None:
        """The buffer that holds all that is shared; r10 is at its true distance from it."""
        if not layout.shared:
            return None
        extent = min(low for low, _ in layout.shared), max(high for _, high in layout.shared)
        buffer, base = self._buffer(extent, layout.cleared)
        self._end = self._code.integer(self._code.at(buffer, -base))
        return buffer, base

    def _buffer(self, extent: Extent, cleared: bool) -> tuple[Pointer, int]:
        """A buffer for the extent, with the guest's alignment."""
        base = extent[0] - extent[0] % ALIGNMENT
        buffer = self._code.buffer(extent[1] - base, ALIGNMENT)
        if cleared:
            self._code.fill(buffer, 0, extent[1] - base)
        return buffer, base

    def end(self) -> U64:
        """r10."""
        return self._end

    def place(self, offset: int) -> Pointer:
        """The pointer to the byte at r10 + offset."""
        buffer, base = self._object(offset)
        return self._code.at(buffer, offset - base)

    def place_within(self, extent: Extent, address: U64) -> Pointer:
        """The pointer to the byte that the program has at `address`, somewhere in the extent."""
        buffer, base = self._object(extent[0])
        return self._code.at(buffer, self._code.sub(self._code.sub(address, self._end), base))

    def _object(self, offset: int) -> tuple[Pointer, int]:
        return self._objects[bisect_right(self._starts, offset) - 1]
