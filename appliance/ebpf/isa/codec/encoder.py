"""Instructions to slots: what the kernel, a file or another engine takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.ebpf.isa.codec.slots import Slot, pack_slots
from appliance.ebpf.isa.codec.tables import ALU_OPS, ATOMICS, CONDITIONS, LOAD_SIZES, SIGN_EXTENSIONS, SIGNED_ALU_OPS
from appliance.ebpf.isa.instructions import (
    Alu,
    Atomic,
    Branch,
    ByteSwap,
    CallFunction,
    CallHelper,
    CallKernel,
    CallRegister,
    Exit,
    Immediate,
    Instruction,
    Jump,
    LegacyPacketLoad,
    Load,
    LoadConstant,
    LoadFunction,
    LoadMap,
    LoadMapValue,
    Move,
    Negate,
    Operand,
    Register,
    Store,
    slot_numbers,
)
from appliance.ebpf.isa.opcodes import (
    AluCode,
    AtomicCode,
    CallKind,
    InstructionClass,
    JumpCode,
    Mode,
    PseudoSource,
    Size,
    Source,
)
from appliance.errors import InputRefused

_C = InstructionClass
_ALU_CLASS = {32: _C.ALU, 64: _C.ALU64}
_JUMP_CLASS = {32: _C.JMP32, 64: _C.JMP}
_SIZE_BITS = {size: bits for bits, size in LOAD_SIZES.items()}
_ATOMIC_NUMBERS = {meaning: number for number, meaning in ATOMICS.items()}
_CONDITION_CODES = {condition: code for code, condition in CONDITIONS.items()}
_ALU_CODES = {op: (code, 0) for code, op in ALU_OPS.items()} | {
    signed: (code, 1) for code, op in ALU_OPS.items() for signed in (SIGNED_ALU_OPS.get(op),) if signed
}


class EncodeError(InputRefused):
    """An instruction that no slot can hold. `index` is its place in the program."""

    def __init__(self, what: str, *, index: int, hint: str | None = None) -> None:
        super().__init__(what, where=f"instruction {index}", hint=hint)
        self.index = index


def encode(instructions: Sequence[Instruction], map_numbers: Mapping[str, int] | None = None) -> bytes:
    """The slots of a program, little endian.

    `map_numbers` gives each map's number as the reader will know it (a file descriptor, for the kernel). Raises
    EncodeError if a value does not fit its field, or a map has no number.
    """
    site = _Site(slot_numbers(instructions), map_numbers or {})
    slots: list[Slot] = []
    for index, instruction in enumerate(instructions):
        site.index = index
        for slot in _ENCODERS[type(instruction)](instruction, site):
            site.check(slot)
            slots.append(slot)
    return pack_slots(slots)


@dataclass(slots=True)
class _Site:
    """Where the instruction being encoded stands, and what it can refer to."""

    numbers: tuple[int, ...]
    map_numbers: Mapping[str, int]
    index: int = 0

    def distance(self, target: int) -> int:
        """From the slot behind this instruction to the one where `target` starts: what a jump's field holds."""
        if not 0 <= target < len(self.numbers):
            raise EncodeError(f"the target, instruction {target}, is outside of the program", index=self.index)
        return self.numbers[target] - self.numbers[self.index] - 1

    def map_number(self, name: str) -> int:
        if name not in self.map_numbers:
            raise EncodeError(f"the map {name!r} has no number", index=self.index)
        return self.map_numbers[name]

    def check(self, slot: Slot) -> None:
        for field, value, bits in (("offset", slot.offset, 16), ("immediate", slot.immediate, 32)):
            if not -(1 << bits - 1) <= value < 1 << bits - 1:
                raise EncodeError(f"the {field} {value} does not fit in {bits} bits", index=self.index)
        for register in (slot.dst, slot.src):
            if not 0 <= register <= 10:
                raise EncodeError(f"there is no register r{register}", index=self.index)


def _with_operand(opcode: int, dst: int, offset: int, source: Operand) -> tuple[Slot]:
    if isinstance(source, Register):
        return (Slot(opcode | Source.X, dst, source.number, offset),)
    return (Slot(opcode, dst, 0, offset, source.value),)


def _signed32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (value >> 31 << 32)


def _wide(dst: int, kind: int, low: int, high: int = 0) -> tuple[Slot, Slot]:
    opcode = _C.LD | Size.DW | Mode.IMM
    return Slot(opcode, dst, kind, 0, _signed32(low)), Slot(0, immediate=_signed32(high))


def _alu(i: Alu, _: _Site) -> tuple[Slot, ...]:
    code, offset = _ALU_CODES[i.op]
    return _with_operand(_ALU_CLASS[i.width] | code, i.dst, offset, i.source)


def _move(i: Move, site: _Site) -> tuple[Slot, ...]:
    if i.sign_bits and (isinstance(i.source, Immediate) or i.sign_bits not in SIGN_EXTENSIONS[i.width]):
        raise EncodeError(f"a {i.width}-bit move can't sign-extend {i.sign_bits} bits of that", index=site.index)
    return _with_operand(_ALU_CLASS[i.width] | AluCode.MOV, i.dst, i.sign_bits, i.source)


def _negate(i: Negate, _: _Site) -> tuple[Slot, ...]:
    return (Slot(_ALU_CLASS[i.width] | AluCode.NEG, i.dst),)


_SWAPS = {
    "le": _C.ALU | AluCode.END | Source.K,
    "be": _C.ALU | AluCode.END | Source.X,
    "swap": _C.ALU64 | AluCode.END | Source.K,
}


def _byte_swap(i: ByteSwap, _: _Site) -> tuple[Slot, ...]:
    return (Slot(_SWAPS[i.order], i.dst, immediate=i.bits),)


def _load(i: Load, site: _Site) -> tuple[Slot, ...]:
    if i.ordered:
        if i.signed:
            raise EncodeError("a load-acquire does not extend the sign", index=site.index)
        return (Slot(_C.STX | Mode.ATOMIC | _SIZE_BITS[i.size], i.dst, i.base, i.offset, AtomicCode.LOAD_ACQUIRE),)
    mode = Mode.MEMSX if i.signed else Mode.MEM
    return (Slot(_C.LDX | mode | _SIZE_BITS[i.size], i.dst, i.base, i.offset),)


def _store(i: Store, site: _Site) -> tuple[Slot, ...]:
    if i.ordered:
        return (_store_release(i, site),)
    if isinstance(i.source, Register):
        return (Slot(_C.STX | Mode.MEM | _SIZE_BITS[i.size], i.base, i.source.number, i.offset),)
    return (Slot(_C.ST | Mode.MEM | _SIZE_BITS[i.size], i.base, 0, i.offset, i.source.value),)


def _store_release(i: Store, site: _Site) -> Slot:
    if isinstance(i.source, Immediate):
        raise EncodeError("a store-release stores a register", index=site.index)
    opcode = _C.STX | Mode.ATOMIC | _SIZE_BITS[i.size]
    return Slot(opcode, i.base, i.source.number, i.offset, AtomicCode.STORE_RELEASE)


def _atomic(i: Atomic, _: _Site) -> tuple[Slot, ...]:
    number = _ATOMIC_NUMBERS[i.op, i.fetch]
    return (Slot(_C.STX | Mode.ATOMIC | _SIZE_BITS[i.size], i.base, i.src, i.offset, number),)


def _legacy_load(i: LegacyPacketLoad, _: _Site) -> tuple[Slot, ...]:
    mode = Mode.ABS if i.index is None else Mode.IND
    return (Slot(_C.LD | mode | _SIZE_BITS[i.size], 0, i.index or 0, 0, i.offset),)


def _load_constant(i: LoadConstant, _: _Site) -> tuple[Slot, ...]:
    return _wide(i.dst, PseudoSource.VALUE, i.value, i.value >> 32)


def _load_map(i: LoadMap, site: _Site) -> tuple[Slot, ...]:
    return _wide(i.dst, PseudoSource.MAP_FD, site.map_number(i.map))


def _load_map_value(i: LoadMapValue, site: _Site) -> tuple[Slot, ...]:
    return _wide(i.dst, PseudoSource.MAP_VALUE, site.map_number(i.map), i.offset)


def _load_function(i: LoadFunction, site: _Site) -> tuple[Slot, ...]:
    return _wide(i.dst, PseudoSource.CODE, site.distance(i.target))


def _jump(i: Jump, site: _Site) -> tuple[Slot, ...]:
    if i.long:
        return (Slot(_C.JMP32 | JumpCode.JA, immediate=site.distance(i.target)),)
    return (Slot(_C.JMP | JumpCode.JA, offset=site.distance(i.target)),)


def _branch(i: Branch, site: _Site) -> tuple[Slot, ...]:
    opcode = _JUMP_CLASS[i.width] | _CONDITION_CODES[i.condition]
    return _with_operand(opcode, i.dst, site.distance(i.target), i.source)


def _call_helper(i: CallHelper, _: _Site) -> tuple[Slot, ...]:
    return (Slot(_C.JMP | JumpCode.CALL, 0, CallKind.HELPER, 0, i.helper),)


def _call_function(i: CallFunction, site: _Site) -> tuple[Slot, ...]:
    return (Slot(_C.JMP | JumpCode.CALL, 0, CallKind.LOCAL, 0, site.distance(i.target)),)


def _call_kernel(i: CallKernel, _: _Site) -> tuple[Slot, ...]:
    return (Slot(_C.JMP | JumpCode.CALL, 0, CallKind.BTF, 0, i.btf_id),)


def _call_register(i: CallRegister, _: _Site) -> tuple[Slot, ...]:
    return (Slot(_C.JMP | JumpCode.CALL | Source.X, i.register),)


def _exit(_i: Exit, _: _Site) -> tuple[Slot, ...]:
    return (Slot(_C.JMP | JumpCode.EXIT),)


_ENCODERS: dict[type, Callable[[Any, _Site], tuple[Slot, ...]]] = {
    Alu: _alu,
    Move: _move,
    Negate: _negate,
    ByteSwap: _byte_swap,
    Load: _load,
    Store: _store,
    Atomic: _atomic,
    LegacyPacketLoad: _legacy_load,
    LoadConstant: _load_constant,
    LoadMap: _load_map,
    LoadMapValue: _load_map_value,
    LoadFunction: _load_function,
    Jump: _jump,
    Branch: _branch,
    CallHelper: _call_helper,
    CallFunction: _call_function,
    CallKernel: _call_kernel,
    CallRegister: _call_register,
    Exit: _exit,
}
