"""Semantic instructions: a closed set of types. Nothing above the decoder sees a bit.

Registers are plain numbers: 0 to 9, and FRAME_POINTER (10), which is read-only. An operand is `Register(n)` or
`Immediate(value)`, the value already sign-extended. Jump targets are indices into the program's tuple of instructions,
not slot numbers; `slot_numbers` gives the slots, which is what every listing and message shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from appliance.ebpf.isa.opcodes import AluOp, AtomicOp, Condition

FRAME_POINTER = 10
STACK_SIZE = 512
Width: TypeAlias = Literal[32, 64]


@dataclass(frozen=True, slots=True)
class Register:
    """A register as the second operand."""

    number: int


@dataclass(frozen=True, slots=True)
class Immediate:
    """A constant as the second operand, sign-extended from its 32 bits."""

    value: int


Operand: TypeAlias = Register | Immediate


@dataclass(frozen=True, slots=True)
class Alu:
    """dst = dst op source, in `width` bits; a 32-bit result is zero-extended."""

    slots: ClassVar[int] = 1
    op: AluOp
    width: Width
    dst: int
    source: Operand


@dataclass(frozen=True, slots=True)
class Move:
    """dst = source; with `sign_bits` (8, 16 or 32) the source's low bits, sign-extended to `width`."""

    slots: ClassVar[int] = 1
    width: Width
    dst: int
    source: Operand
    sign_bits: int = 0


@dataclass(frozen=True, slots=True)
class Negate:
    """dst = -dst."""

    slots: ClassVar[int] = 1
    width: Width
    dst: int


@dataclass(frozen=True, slots=True)
class ByteSwap:
    """dst = the low `bits` of dst, as little endian, big endian, or swapped without condition; zero-extended."""

    slots: ClassVar[int] = 1
    order: Literal["le", "be", "swap"]
    bits: int
    dst: int


@dataclass(frozen=True, slots=True)
class Load:
    """dst = `size` bytes at base + offset, zero- or sign-extended to 64 bits.

    `ordered` makes it a load-acquire: no access behind it happens before it.
    """

    slots: ClassVar[int] = 1
    size: int
    dst: int
    base: int
    offset: int
    signed: bool = False
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """The low `size` bytes of source go to base + offset.

    `ordered` makes it a store-release, of a register: no access in front of it happens after it.
    """

    slots: ClassVar[int] = 1
    size: int
    base: int
    offset: int
    source: Operand
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Atomic:
    """One atomic read-modify-write of `size` (4 or 8) bytes at base + offset with register `src`.

    With `fetch`, `src` receives the old value; CMPXCHG compares with r0 and always puts the old value there.
    """

    slots: ClassVar[int] = 1
    op: AtomicOp
    size: int
    base: int
    offset: int
    src: int
    fetch: bool


@dataclass(frozen=True, slots=True)
class LegacyPacketLoad:
    """r0 = `size` bytes of the packet at offset (+ index), big endian: the classic-BPF accesses (RFC 9669, 5.7)."""

    slots: ClassVar[int] = 1
    size: int
    offset: int
    index: int | None


@dataclass(frozen=True, slots=True)
class LoadConstant:
    """dst = a 64-bit constant (0 to 2**64 - 1)."""

    slots: ClassVar[int] = 2
    dst: int
    value: int


@dataclass(frozen=True, slots=True)
class LoadMap:
    """dst = the map of that name in the collection."""

    slots: ClassVar[int] = 2
    dst: int
    map: str


@dataclass(frozen=True, slots=True)
class LoadMapValue:
    """dst = the address of byte `offset` in the first value of the map of that name (a global variable)."""

    slots: ClassVar[int] = 2
    dst: int
    map: str
    offset: int


@dataclass(frozen=True, slots=True)
class LoadFunction:
    """dst = the address of the subprogram that starts at `target`."""

    slots: ClassVar[int] = 2
    dst: int
    target: int


@dataclass(frozen=True, slots=True)
class Jump:
    """Go to `target`. `long` is the 32-bit form (gotol)."""

    slots: ClassVar[int] = 1
    target: int
    long: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """Go to `target` if (dst condition source) holds in `width` bits, else fall through."""

    slots: ClassVar[int] = 1
    condition: Condition
    width: Width
    dst: int
    source: Operand
    target: int


@dataclass(frozen=True, slots=True)
class CallHelper:
    """r0 = helper number `helper` (the platform's own number) of r1 to r5; r1 to r5 are lost."""

    slots: ClassVar[int] = 1
    helper: int


@dataclass(frozen=True, slots=True)
class CallFunction:
    """r0 = the subprogram that starts at `target`, of r1 to r5, in a stack frame of its own."""

    slots: ClassVar[int] = 1
    target: int


@dataclass(frozen=True, slots=True)
class CallRegister:
    """r0 = the function whose address is in `register` (callx)."""

    slots: ClassVar[int] = 1
    register: int


@dataclass(frozen=True, slots=True)
class CallKernel:
    """A call of a kernel's function (kfunc), by its number among the kernel's types, or by the name that a relocation
    has for it: decoded so that it can be refused by name."""

    slots: ClassVar[int] = 1
    btf_id: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """Return r0."""

    slots: ClassVar[int] = 1


Instruction: TypeAlias = (
    Alu
    | Move
    | Negate
    | ByteSwap
    | Load
    | Store
    | Atomic
    | LegacyPacketLoad
    | LoadConstant
    | LoadMap
    | LoadMapValue
    | LoadFunction
    | Jump
    | Branch
    | CallHelper
    | CallFunction
    | CallRegister
    | CallKernel
    | Exit
)


def slot_numbers(instructions: Iterable[Instruction]) -> tuple[int, ...]:
    """The slot at which each instruction starts."""
    numbers, slot = [], 0
    for instruction in instructions:
        numbers.append(slot)
        slot += instruction.slots
    return tuple(numbers)
