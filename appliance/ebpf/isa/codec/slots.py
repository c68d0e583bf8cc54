"""The raw unit of bytecode, what a relocation may say about one, and what can be wrong with one.

byte     0         1        2   3       4   5   6   7
     +--------+----+----+--------+-----------------------+
     | opcode |src |dst |offset  |       immediate       |
     +--------+----+----+--------+-----------------------+
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from appliance.ebpf.isa.instructions import FRAME_POINTER
from appliance.errors import InputRefused

SLOT_SIZE = 8
_LAYOUT = struct.Struct("<BBhi")


class Slot(NamedTuple):
    """Eight bytes of bytecode, taken apart. `offset` has 16 bits and `immediate` 32, both signed."""

    opcode: int
    dst: int = 0
    src: int = 0
    offset: int = 0
    immediate: int = 0

    def pack(self) -> bytes:
        """The eight bytes. Raises struct.error if a field does not fit."""
        return _LAYOUT.pack(self.opcode, self.src << 4 | self.dst, self.offset, self.immediate)


def unpack_slots(data: bytes) -> Iterator[Slot]:
    """The slots of `data`, whose length must be a multiple of 8."""
    for opcode, registers, offset, immediate in _LAYOUT.iter_unpack(data):
        yield Slot(opcode, registers & 0xF, registers >> 4, offset, immediate)


def pack_slots(slots: Iterable[Slot]) -> bytes:
    """The bytes of the slots, one behind the other."""
    return b"".join(slot.pack() for slot in slots)


@dataclass(frozen=True, slots=True)
class MapReference:
    """A 64-bit immediate load that a relocation points at the map of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class MapValueReference:
    """A 64-bit immediate load that a relocation points at byte `offset` of the first value of this map."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """A call, or a 64-bit immediate load, that a relocation points at the subprogram starting at this slot."""

    slot: int


@dataclass(frozen=True, slots=True)
class KernelFunctionReference:
    """A call that a relocation points at the kernel's function of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class ConstantReference:
    """A 64-bit immediate load whose number the kernel tells."""

    value: int


Reference: TypeAlias = (
    MapReference | MapValueReference | FunctionReference | KernelFunctionReference | ConstantReference
)


class DecodeError(InputRefused):
    """Bytes that are not a program. `slot` counts from 0; `opcode` is None if the bytes end before it."""

    def __init__(self, what: str, *, slot: int, opcode: int | None = None, hint: str | None = None) -> None:
        code = "" if opcode is None else f", opcode {opcode:#04x}"
        super().__init__(what, where=f"slot {slot}{code}", hint=hint)
        self.slot = slot
        self.opcode = opcode


def check_registers(slot: Slot, number: int) -> None:
    """Raises DecodeError if the slot names a register beyond r10."""
    for role, register in (("destination", slot.dst), ("source", slot.src)):
        if register > FRAME_POINTER:
            raise DecodeError(f"there is no register r{register} ({role})", slot=number, opcode=slot.opcode)
