"""What is in registers and stack cells in the middle of a loop's iteration: what was in a place at the head, and a
constant.

The sums are those of the machine: of 64 bits, or of 32 bits and zero-extended. So they hold for pointers as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.ebpf.isa.instructions import FRAME_POINTER, Alu
from appliance.ebpf.isa.opcodes import AluOp
from appliance.verifier.control_flow.liveness import stack_bytes
from appliance.verifier.state.partitions import Part, Place

# The width of a sum of 32 bits that stands in the high half of a register, or in the low half of one whose high half
# is anything.
_SHIFTED, _LOW = 33, 34


PLAIN = (32, 64)


class Sum(NamedTuple):
    """What was in `place` at the loop's head plus a number from `low` to `high`, in `width` bits. Stack offsets count
    from r10."""

    place: Place
    low: int
    high: int
    width: int


@dataclass(slots=True)
class Sums:
    """What is known at one point of an iteration. A cell that is not among `cells` is as it was at the head, unless one
    of its bytes was `written` since. For one thread, that of the proof."""

    registers: list[Sum | None] = field(
        default_factory=lambda: [Sum(place, 0, 0, 64) for place in (Place(Part.REGISTER, n) for n in range(10))]
    )
    cells: dict[Place, Sum] = field(default_factory=dict)
    written: int = 0

    def copy(self) -> Sums:
        return Sums(self.registers.copy(), self.cells.copy(), self.written)

    def register(self, number: int) -> Sum | None:
        return self.registers[number] if number < FRAME_POINTER else None

    def at(self, place: Place) -> Sum | None:
        if place.part is Part.REGISTER:
            return self.register(place.at)
        unchanged = Sum(place, 0, 0, 8 * place.size)
        return self.cells.get(place, None if self.written & stack_bytes(place.at, place.size) else unchanged)

    def write(self, low: int, high: int) -> None:
        """Those bytes of the stack may have changed."""
        self.written |= stack_bytes(low, high - low)
        self.cells = {at: sum_ for at, sum_ in self.cells.items() if at.at >= high or at.at + at.size <= low}

    def joined(self, other: Sums) -> Sums:
        cells = {}
        for place in self.cells.keys() | other.cells.keys():
            either = _either(self.at(place), other.at(place))
            if either is not None:
                cells[place] = either
        registers = [_either(a, b) for a, b in zip(self.registers, other.registers, strict=True)]
        return Sums(registers, cells, self.written | other.written)


def _either(a: Sum | None, b: Sum | None) -> Sum | None:
    if a is None or b is None or (a.place, a.width) != (b.place, b.width):
        return None
    return Sum(a.place, min(a.low, b.low), max(a.high, b.high), a.width)


def cut(sum_: Sum | None, width: int) -> Sum | None:
    """The same, moved in so many bits."""
    if sum_ is None or width == 64:
        return sum_
    return sum_._replace(width=32) if width == 32 and sum_.width != _SHIFTED else None


def computed(sum_: Sum | None, instruction: Alu, value: int) -> Sum | None:
    """What becomes of it in arithmetic with a constant."""
    if sum_ is None:
        return None
    if instruction.op in (AluOp.ADD, AluOp.SUB):
        more = value if instruction.op is AluOp.ADD else -value
        part = cut(sum_, instruction.width)
        if part is None or part.width == _SHIFTED:
            return None
        width = part.width if part.width == instruction.width else _LOW
        return part._replace(low=part.low + more, high=part.high + more, width=width)
    if instruction.width == 64 and value == 32:
        if instruction.op is AluOp.LSH and sum_.width != _SHIFTED:
            return sum_._replace(width=_SHIFTED)
        if instruction.op is AluOp.RSH and sum_.width == _SHIFTED:
            return sum_._replace(width=32)
    return None
