"""What is known at one point of one path, and where that came from.

registers    11 values, None may not be read; behind them, r6 to r9 of each caller, the outermost first
stack        cells (`stack`), shared between states, never changed in place
ranges       packet id -> bytes known to be inside the packet, counted from base + variable part
outside      packet id -> bytes of which not all are inside, counted the same way
links        place -> how its number is tied to those at other places (`links`). A place is an index of `registers`, or
             the offset of a stack cell (negative)
depth        the number of callers
references   name -> what the program must give back (`references`); lock: the one that it holds
past         the visit that it is in, if the past is kept

    visit of block 3 ──┐  arrival
                       ├──────────> visit of block 7, from the join of both ──> …
    visit of block 5 ──┘  arrival

What a demand found missing is followed back through the visits (`partitioning`, `causes`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from appliance.ebpf.isa.instructions import FRAME_POINTER
from appliance.verifier.domains import links as numbers
from appliance.verifier.domains import scalar
from appliance.verifier.domains.links import Link
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import (
    APP_ID_START,
    DYNPTR_KINDS,
    METADATA_START,
    PACKET_START,
    Kind,
    Pointer,
    Value,
)
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.points import Point
from appliance.verifier.state.references import Lock, Reference
from appliance.verifier.state.stack import Cell, Stack

REGISTERS = 11
SAVED = slice(6, 10)
# Not even that the base itself is inside: what is known of a packet id that was compared with nothing.
UNPROVED = -(1 << 62)
NO_RANGES: Mapping[int, int] = {PACKET_START: 0, METADATA_START: 0, APP_ID_START: 0}
NO_REFERENCES: Mapping[int, Reference] = {}
NOTHING_OUTSIDE: Mapping[int, int] = {}
# More than any packet has: what is known to be outside of an id that was not found too short.
NEVER_SHORT = 1 << 62


class State:
    """One abstract state. Registers change in place; the mappings are replaced, never changed.
    For one thread, that of the proof."""

    __slots__ = ("depth", "links", "lock", "outside", "past", "ranges", "references", "registers", "stack")

    def __init__(
        self,
        registers: list[Value | None],
        stack: Stack,
        ranges: Mapping[int, int],
        links: Mapping[int, Link],
        depth: int = 0,
        references: Mapping[int, Reference] = NO_REFERENCES,
        lock: Lock | None = None,
        past: Visit | None = None,
        outside: Mapping[int, int] = NOTHING_OUTSIDE,
    ) -> None:
        self.registers = registers
        self.stack = stack
        self.ranges = ranges
        self.links = links
        self.depth = depth
        self.references = references
        self.lock = lock
        self.past = past
        self.outside = outside

    @classmethod
    def entry(cls) -> State:
        """How every program starts: r1 is the context, r10 the end of the stack, nothing else may be read."""
        registers: list[Value | None] = [None] * REGISTERS
        registers[1] = Pointer(Kind.CONTEXT)
        registers[FRAME_POINTER] = Pointer(Kind.STACK)
        return cls(registers, {}, NO_RANGES, {})

    def copy(self) -> State:
        return State(
            self.registers.copy(),
            self.stack,
            self.ranges,
            self.links,
            self.depth,
            self.references,
            self.lock,
            self.past,
            self.outside,
        )

    def held_references(self) -> Hashable:
        """What is held, without the names: two states in which that differs have nothing to do with each other."""
        if not self.references and self.lock is None:
            return None
        lock = self.lock and (self.lock.at, self.lock.map)
        return tuple(sorted(self.references.values())), lock

    def set(self, register: int, value: Value | None) -> None:
        """A new value; whatever the register was equal to, it no longer is."""
        self.registers[register] = value
        if register in self.links:
            self._unlink((register,))

    def link(self, place: int, link: Link) -> None:
        """The number there, which is known, is tied to others. Where one is tied in the same way, both are the same
        number, and what is known of that one holds here."""
        for other, known in self.links.items():
            if known == link and other != place:
                both = scalar.meet(self.number(place), self.number(other))
                if both is not None:
                    self._put(place, both)
                break
        self.links = {**self.links, place: link}

    def number(self, place: int) -> Scalar:
        """The number at a place that is linked."""
        value = self.registers[place] if place >= 0 else self.stack[place].value
        assert type(value) is Scalar
        return value

    def _put(self, place: int, number: Scalar) -> None:
        """What is there is known better."""
        if place >= 0:
            self.registers[place] = number
        else:
            self.stack = {**self.stack, place: Cell(self.stack[place].size, number)}

    def _unlink(self, places: tuple[int, ...] | list[int]) -> None:
        links = dict(self.links)
        for place in places:
            links.pop(place, None)
        self.links = links

    def store(self, offset: int, size: int, value: Value) -> None:
        """Write to the stack. A dynptr that is written over is none any more."""
        self._end_dynptrs(offset, offset + size)
        self.unlink_stack(offset, offset + size)
        self.stack = stack_cells.write(self.stack, offset, size, value)

    def blur(self, low: int, high: int) -> None:
        """Some bytes of the stack in [low, high) may have changed."""
        self.unlink_stack(low, high)
        self.stack = stack_cells.blur(self.stack, low, high)

    def fill(self, low: int, high: int) -> None:
        """All bytes of the stack in [low, high) now hold unknown numbers."""
        self.unlink_stack(low, high)
        self.stack = stack_cells.fill(self.stack, low, high)

    def drop(self, offset: int) -> None:
        """What the cell at that offset holds is not known any more, not even that it may be read."""
        if offset in self.links:
            self._unlink((offset,))
        self.stack = {at: cell for at, cell in self.stack.items() if at != offset}

    def put_dynptr(self, offset: int, dynptr: Pointer) -> None:
        """A new dynptr in 16 bytes of the stack."""
        for half in (0, stack_cells.CELL):
            self.store(offset + half, stack_cells.CELL, dynptr._replace(offset=half))

    def dynptr(self, offset: int) -> Pointer | None:
        """The dynptr that the 16 bytes of the stack are."""
        halves = [stack_cells.read(self.stack, offset + half, stack_cells.CELL) for half in (0, stack_cells.CELL)]
        first, second = halves
        if type(first) is not Pointer or first.kind not in DYNPTR_KINDS or first.offset:
            return None
        return first if second == first._replace(offset=stack_cells.CELL) else None

    def dynptrs_in(self, low: int, high: int) -> list[Pointer]:
        """The dynptrs that have a byte in [low, high)."""
        cells = (self.stack[at].value for at in stack_cells.overlapping(self.stack, low, high))
        return [value._replace(offset=0) for value in cells if type(value) is Pointer and value.kind in DYNPTR_KINDS]

    def _end_dynptrs(self, low: int, high: int) -> None:
        """Both halves, wherever the other is, and the slices."""
        ended = {dynptr.id for dynptr in self.dynptrs_in(low, high) if dynptr.kind is Kind.DYNPTR}
        if ended:
            self.forget_pointers(
                lambda pointer: (pointer.kind is Kind.DYNPTR and pointer.id in ended) or pointer.owner in ended
            )

    def unlink_stack(self, low: int, high: int) -> None:
        """Numbers that have a byte in [low, high) of the stack are tied to no other."""
        lost = [place for place in self.links if place < 0 and low - 8 < place < high]
        if lost:
            self._unlink(lost)

    def learn(self, register: int, number: Scalar) -> bool:
        """The number in `register` is now known better, and so is every one that is tied to it. False if that can't
        be: then this is never reached."""
        known = scalar.meet(self.number(register), number)
        if known is None:
            return False
        self.registers[register] = known
        link = self.links.get(register)
        if link is None:
            return True
        for place, other in self.links.items():
            if other.name != link.name or place == register:
                continue
            old = self.number(place)
            new = numbers.implied(link, known, other, old)
            if new is None:
                return False
            if new != old:
                self._put(place, new)
        return True

    def proved(self, packet: int) -> int:
        """How many bytes from the base of that packet id on are inside; negative if the base may be past the end."""
        return self.ranges.get(packet, UNPROVED)

    def learn_range(self, packet: int, length: int) -> None:
        """`length` bytes from the base of that packet id on are inside the packet."""
        if length > self.proved(packet):
            self.ranges = {**self.ranges, packet: length}

    def missing(self, packet: int) -> int:
        """Of so many bytes from the base of that packet id on, not all are inside."""
        return self.outside.get(packet, NEVER_SHORT)

    def learn_missing(self, packet: int, length: int) -> None:
        """The packet ends before `length` bytes from the base of that packet id on."""
        if length < self.missing(packet):
            self.outside = {**self.outside, packet: length}

    def hold(self, name: int, reference: Reference) -> None:
        """From now on the program holds that, too."""
        self.references = {**self.references, name: reference}

    def forget_pointers(self, dead: Callable[[Pointer], bool]) -> None:
        """Nothing may be read any more where such a pointer was."""
        for register, held in enumerate(self.registers):
            if type(held) is Pointer and dead(held):
                self.registers[register] = None
        self.stack = {
            offset: cell
            for offset, cell in self.stack.items()
            if not (type(cell.value) is Pointer and dead(cell.value))
        }


class Arrival(NamedTuple):
    """A state as it came to the block, and the visit that it comes from; None at the program's start."""

    state: State
    before: Visit | None


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """One state at the start of one block; of several arrivals, it is their join. `end`: one past the block's last
    instruction."""

    point: Point
    start: int
    end: int
    state: State
    arrivals: tuple[Arrival, ...]

    @property
    def depth(self) -> int:
        return self.state.depth
