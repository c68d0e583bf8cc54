"""What the stack holds: a mapping from offsets (relative to r10, negative) to cells that do not overlap.

    offset   -24                  -16        -12        -8
              | 8 bytes: pointer   | 4: {7}   | nothing  | 8: any number |

A cell is `(size, value)`, at most 8 bytes. Bytes without a cell were never written and may not be read. The mapping is
never changed in place, so that states can share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from appliance.ebpf.isa.opcodes import AluOp
from appliance.verifier.domains import scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import STRUCTURE_KINDS, ZERO, Pointer, Value

CELL = 8


class Cell(NamedTuple):
    """`size` bytes written together."""

    size: int
    value: Value


Stack: TypeAlias = Mapping[int, Cell]


def overlapping(stack: Stack, low: int, high: int) -> list[int]:
    """Offsets of the cells that have a byte in [low, high)."""
    if high - low > 2 * len(stack):
        return [at for at, cell in stack.items() if at < high and at + cell.size > low]
    return [at for at in range(low - CELL + 1, high) if (cell := stack.get(at)) is not None and at + cell.size > low]


def write(stack: Stack, offset: int, size: int, value: Value) -> dict[int, Cell]:
    """The stack after `size` bytes at `offset` became `value`. What remains of numbers around it stays known."""
    written = dict(stack)
    old = written.get(offset)
    if old is None or old.size != size:
        for at in overlapping(stack, offset, offset + size):
            cell = written.pop(at)
            if type(cell.value) is Scalar:
                _keep_rest(written, at, cell.size, cell.value, offset, offset + size)
    written[offset] = Cell(size, value)
    return written


def _keep_rest(written: dict[int, Cell], at: int, size: int, number: Scalar, low: int, high: int) -> None:
    """The bytes of an old number before `low` and from `high` on."""
    if at < low:
        written[at] = Cell(low - at, scalar.extract(number, 0, low - at))
    if at + size > high:
        written[high] = Cell(at + size - high, scalar.extract(number, high - at, at + size - high))


def blur(stack: Stack, low: int, high: int) -> dict[int, Cell]:
    """The stack after some bytes in [low, high) may have changed: numbers become unknown, pointers unreadable."""
    blurred = dict(stack)
    for at in overlapping(stack, low, high):
        cell = blurred.pop(at)
        if type(cell.value) is Scalar:
            blurred[at] = Cell(cell.size, scalar.unknown(cell.size))
    return blurred


def fill(stack: Stack, low: int, high: int) -> dict[int, Cell]:
    """The stack after all bytes in [low, high) were written with unknown numbers."""
    filled: dict[int, Cell] = dict(stack)
    for at in range(low, high, CELL):
        size = min(CELL, high - at)
        filled = write(filled, at, size, scalar.unknown(size))
    return filled


def read(stack: Stack, offset: int, size: int) -> Value | None:
    """What `size` bytes at `offset` hold; None if a byte was never written, or is a part of a pointer."""
    cell = stack.get(offset)
    if cell is not None and cell.size == size:
        return cell.value
    result, position = ZERO, offset
    while position < offset + size:
        at = holder(stack, position)
        if at is None:
            return None
        cell = stack[at]
        number = _number(cell.value)
        if number is None:
            return None
        taken = min(at + cell.size, offset + size) - position
        part = scalar.extract(number, position - at, taken)
        placed = scalar.operate(AluOp.LSH, 64, part, scalar.constant(8 * (position - offset)))
        result = scalar.operate(AluOp.OR, 64, result, placed)
        position += taken
    return result


def _number(value: Value) -> Scalar | None:
    """The value as bytes; None for a pointer that nobody may see so."""
    if type(value) is Scalar:
        return value
    return scalar.UNKNOWN if type(value) is Pointer and value.kind in STRUCTURE_KINDS else None


def holder(stack: Stack, position: int) -> int | None:
    """The offset of the cell that has the byte at `position`."""
    for at in range(position, position - CELL, -1):
        cell = stack.get(at)
        if cell is not None:
            return at if at + cell.size > position else None
    return None


def first_unreadable(stack: Stack, low: int, high: int) -> int | None:
    """The first byte in [low, high) that was never written or belongs to a pointer that is a secret; None if all may
    be read."""
    position = low
    while position < high:
        at = holder(stack, position)
        if at is None or _number(stack[at].value) is None:
            return position
        position = at + stack[at].size
    return None
