"""What is known at one point of one path: registers, stack, how much of the packet is there, equal numbers.

registers    11 values, None may not be read; behind them, r6 to r9 of each caller, the outermost first
stack        cells (`stack`), shared between states, never changed in place
ranges       packet id -> bytes known to be inside the packet, counted from base + variable part
outside      packet id -> bytes of which not all are inside, counted the same way
links        place -> how its number is tied to those at other places (`links`). A place is an index of `registers`, or
             the offset of a stack cell (negative)
depth        the number of callers
references   name -> what the program must give back (`holdings`); lock: the one that it holds
past         the visit that it is in, if history is kept (`history`)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING

from appliance.ebpf.isa.instructions import FRAME_POINTER, STACK_SIZE
from appliance.verifier.domains import links as numbers
from appliance.verifier.domains import scalar
from appliance.verifier.domains.links import Link
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import (
    APP_ID_START,
    DYNPTR_KINDS,
    FRAME_DISTANCE,
    HELD_KINDS,
    LENT_KINDS,
    METADATA_START,
    PACKET_KINDS,
    PACKET_START,
    STALE,
    STRUCTURE_KINDS,
    Kind,
    Pointer,
    Value,
)
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.references import Lock, Reference
from appliance.verifier.state.stack import Cell, Stack

if TYPE_CHECKING:
    from appliance.verifier.state.history import Visit

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
    """One abstract state. Registers change in place; the mappings are replaced, never changed."""

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

    def holdings(self) -> Hashable:
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
        self._unlink_stack(offset, offset + size)
        self.stack = stack_cells.write(self.stack, offset, size, value)

    def blur(self, low: int, high: int) -> None:
        """Some bytes of the stack in [low, high) may have changed."""
        self._unlink_stack(low, high)
        self.stack = stack_cells.blur(self.stack, low, high)

    def fill(self, low: int, high: int) -> None:
        """All bytes of the stack in [low, high) now hold unknown numbers."""
        self._unlink_stack(low, high)
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
            self._forget_pointers(
                lambda pointer: (pointer.kind is Kind.DYNPTR and pointer.id in ended) or pointer.owner in ended
            )

    def _unlink_stack(self, low: int, high: int) -> None:
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

    def replace_pointers(self, kind: Kind, name: int, value: Value) -> None:
        """Every pointer of that kind and id, wherever it is, becomes `value`."""
        for register, held in enumerate(self.registers):
            if type(held) is Pointer and held.kind is kind and held.id == name:
                self.registers[register] = value
        for offset, cell in self.stack.items():
            held = cell.value
            if type(held) is Pointer and held.kind is kind and held.id == name:
                self.stack = {**self.stack, offset: Cell(8, value)}

    def hold(self, name: int, reference: Reference) -> None:
        """From now on the program holds that, too."""
        self.references = {**self.references, name: reference}

    def give_back(self, name: int) -> None:
        """The reference is gone, and every pointer that carries its name is dead."""
        self.references = {other: held for other, held in self.references.items() if other != name}
        self._forget_pointers(
            lambda pointer: (pointer.kind in HELD_KINDS and pointer.id == name) or pointer.owner == name
        )

    def forget_lent_sockets(self) -> None:
        """A socket was released, and what was asked of it with it: what it was cast to is a structure of the kernel."""
        self._forget_pointers(lambda pointer: pointer.kind in LENT_KINDS or pointer.kind in STRUCTURE_KINDS)

    def forget_packet(self) -> None:
        """The packet moved: every pointer into it is stale."""
        for register, held in enumerate(self.registers):
            if type(held) is Pointer and held.kind in PACKET_KINDS:
                self.registers[register] = STALE
        self.stack = {
            offset: Cell(cell.size, STALE) if type(cell.value) is Pointer and cell.value.kind in PACKET_KINDS else cell
            for offset, cell in self.stack.items()
        }
        self.ranges = NO_RANGES
        self.outside = NOTHING_OUTSIDE

    def _forget_pointers(self, dead: Callable[[Pointer], bool]) -> None:
        for register, held in enumerate(self.registers):
            if type(held) is Pointer and dead(held):
                self.registers[register] = None
        self.stack = {
            offset: cell
            for offset, cell in self.stack.items()
            if not (type(cell.value) is Pointer and dead(cell.value))
        }

    def keep(self, live: int) -> None:
        """Forget what nobody reads any more. `live` has a bit per register and per stack byte (see `liveness`)."""
        registers = self.registers
        for register in range(FRAME_POINTER):
            if not live >> register & 1:
                registers[register] = None
        if self.stack:
            self._keep_stack(live >> REGISTERS)
        if self.links:
            self._keep_links()
        if len(self.ranges) > len(NO_RANGES) or self.outside:
            self._keep_ranges()

    def _keep_stack(self, live: int) -> None:
        """Forget dead bytes of the current frame. Bit 0 of `live` is the lowest byte of the frame."""
        lowest = -FRAME_DISTANCE * self.depth - STACK_SIZE
        dead = [
            at
            for at, cell in self.stack.items()
            if at < lowest + STACK_SIZE and not live >> (at - lowest) & ((1 << cell.size) - 1)
        ]
        if dead:
            self.stack = {at: cell for at, cell in self.stack.items() if at not in dead}

    def enter(self) -> None:
        """A call of a function of the program: it gets r1 to r5 and a frame of its own; r6 to r9 wait for its end."""
        saved = len(self.registers)
        self.registers += self.registers[SAVED]
        self.depth += 1
        self._rename({register: saved + n for n, register in enumerate(range(SAVED.start, SAVED.stop))})
        for register in (0, *range(SAVED.start, SAVED.stop)):
            self.set(register, None)
        self.registers[FRAME_POINTER] = Pointer(Kind.STACK, -FRAME_DISTANCE * self.depth, id=self.depth)

    def leave(self) -> None:
        """The end of a called function: its frame is gone, and the key that it was called back with. r0 is its result,
        r1 to r5 are lost, r6 to r9 are back."""
        gone, self.depth = self.depth, self.depth - 1
        saved = len(self.registers) - (SAVED.stop - SAVED.start)
        for register in range(1, SAVED.stop):
            self.set(register, None)
        self.registers[SAVED] = self.registers[saved:]
        del self.registers[saved:]
        self._rename({saved + n: register for n, register in enumerate(range(SAVED.start, SAVED.stop))})
        limit = -FRAME_DISTANCE * gone
        self._unlink_stack(limit - STACK_SIZE, limit)
        left = ((at, _cell_left(cell, gone)) for at, cell in self.stack.items() if at >= limit)
        self.stack = {at: cell for at, cell in left if cell is not None}
        self.registers = [_left_of(value, gone) for value in self.registers]
        self.registers[FRAME_POINTER] = Pointer(Kind.STACK, -FRAME_DISTANCE * self.depth, id=self.depth)

    def _rename(self, places: Mapping[int, int]) -> None:
        """Links of registers that moved to other places; the new places had none."""
        if self.links:
            self.links = {places.get(place, place): link for place, link in self.links.items()}

    def _keep_links(self) -> None:
        names: dict[int, int] = {}
        held = {
            place: link
            for place, link in self.links.items()
            if (self.registers[place] is not None if place >= 0 else place in self.stack)
        }
        for link in held.values():
            names[link.name] = names.get(link.name, 0) + 1
        self.links = {place: link for place, link in held.items() if names[link.name] > 1}

    def _keep_ranges(self) -> None:
        used = {value.id for value in self.registers if type(value) is Pointer}
        used.update(cell.value.id for cell in self.stack.values() if type(cell.value) is Pointer)
        used.update(NO_RANGES)
        self.ranges = {packet: length for packet, length in self.ranges.items() if packet in used}
        self.outside = {packet: length for packet, length in self.outside.items() if packet in used}


def _cell_left(cell: Cell, frame: int) -> Cell | None:
    value = _left_of(cell.value, frame)
    if value is cell.value:
        return cell  # states that share it are compared sooner
    return Cell(cell.size, value) if value is not None else None


def _left_of(value: Value | None, frame: int) -> Value | None:
    """What is left of a value when that frame is gone: nothing of a pointer into it, and nothing to be read behind one
    to the key that it was given."""
    if type(value) is not Pointer or value.id != frame:
        return value
    if value.kind is Kind.MAP_KEY:
        return Pointer(Kind.GONE_KEY, map=value.map)
    return None if value.kind is Kind.STACK else value
