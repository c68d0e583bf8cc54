"""Slots to instructions: one small decoder per format, in a table keyed by the whole opcode.

An opcode without an entry is no instruction. Fields that a format does not use are reserved and must be zero (RFC
9669, section 3), so every slot that decodes is encoded back to the same eight bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from appliance.ebpf.isa.codec.slots import (
    SLOT_SIZE,
    ConstantReference,
    DecodeError,
    FunctionReference,
    KernelFunctionReference,
    MapReference,
    MapValueReference,
    Reference,
    Slot,
    check_registers,
    unpack_slots,
)
from appliance.ebpf.isa.codec.tables import (
    ALU_OPS,
    ATOMIC_SIZES,
    ATOMICS,
    CONDITIONS,
    LOAD_SIZES,
    SIGN_EXTENSIONS,
    SIGNED_ALU_OPS,
)
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
    Width,
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

_C = InstructionClass
WIDE_LOAD = _C.LD | Size.DW | Mode.IMM


def decode(slots: bytes, references: Mapping[int, Reference] | None = None) -> tuple[Instruction, ...]:
    """The program that `slots` spell (little endian, 8 bytes each).

    `references` says, by slot number, what relocations point 64-bit immediate loads and calls at; where it has an entry
    the slot's own source and immediate do not count. A load of a map needs one: a number names no map in a file.
    Raises DecodeError.
    """
    if len(slots) % SLOT_SIZE:
        raise DecodeError(
            f"the program ends in the middle of an instruction: {len(slots)} bytes",
            slot=len(slots) // SLOT_SIZE,
            hint="a program's length is a multiple of 8 bytes",
        )
    program = _Program(tuple(unpack_slots(slots)), references or {})
    return tuple(program.instruction_at(number) for number in program.starts)


class _Program:
    """The slots of one program, with the index of the instruction that starts at each."""

    def __init__(self, slots: tuple[Slot, ...], references: Mapping[int, Reference]) -> None:
        self.slots = slots
        self.references = references
        self.starts: list[int] = []
        self._indices: dict[int, int] = {}
        number = 0
        while number < len(slots):
            self._indices[number] = len(self.starts)
            self.starts.append(number)
            number += 2 if slots[number].opcode == WIDE_LOAD else 1

    def instruction_at(self, number: int) -> Instruction:
        slot = self.slots[number]
        decoder = _DECODERS.get(slot.opcode)
        if decoder is None:
            raise DecodeError("no instruction has this opcode", slot=number, opcode=slot.opcode)
        check_registers(slot, number)
        return decoder(self, number, slot)

    def index_of(self, target: int, number: int) -> int:
        """The instruction at slot `target`, to which the one at slot `number` refers."""
        index = self._indices.get(target)
        if index is None:
            inside = 0 <= target < len(self.slots)
            place = "the middle of a 64-bit immediate load" if inside else "outside of the program"
            raise DecodeError(f"the target, slot {target}, is {place}", slot=number, opcode=self.slots[number].opcode)
        return index


_Decoder: TypeAlias = Callable[[_Program, int, Slot], Instruction]


def _reserve(number: int, slot: Slot, *fields: Literal["dst", "src", "offset", "immediate"]) -> None:
    for field in fields:
        value = getattr(slot, field)
        if value:
            raise DecodeError(
                f"the {_FIELD_NAMES[field]} is reserved here and must be 0, not {value}",
                slot=number,
                opcode=slot.opcode,
            )


_FIELD_NAMES = {"dst": "destination", "src": "source", "offset": "offset", "immediate": "immediate"}


def _operand(number: int, slot: Slot) -> Operand:
    """The second operand of arithmetic and branches; the field that bit 3 does not choose is reserved."""
    if slot.opcode & Source.X:
        _reserve(number, slot, "immediate")
        return Register(slot.src)
    _reserve(number, slot, "src")
    return Immediate(slot.immediate)


def _width(slot: Slot) -> Width:
    return 64 if slot.opcode & 7 in (_C.ALU64, _C.JMP) else 32


def _alu(_: _Program, number: int, slot: Slot) -> Instruction:
    op = ALU_OPS[AluCode(slot.opcode & 0xF0)]
    if op in SIGNED_ALU_OPS and slot.offset == 1:
        op = SIGNED_ALU_OPS[op]
    else:
        _reserve(number, slot, "offset")
    return Alu(op, _width(slot), slot.dst, _operand(number, slot))


def _move(_: _Program, number: int, slot: Slot) -> Instruction:
    width = _width(slot)
    if slot.opcode & Source.X and slot.offset in SIGN_EXTENSIONS[width]:
        return Move(width, slot.dst, _operand(number, slot), slot.offset)
    _reserve(number, slot, "offset")
    return Move(width, slot.dst, _operand(number, slot))


def _negate(_: _Program, number: int, slot: Slot) -> Instruction:
    _reserve(number, slot, "src", "offset", "immediate")
    return Negate(_width(slot), slot.dst)


def _byte_swap(_: _Program, number: int, slot: Slot) -> Instruction:
    _reserve(number, slot, "src", "offset")
    if slot.immediate not in (16, 32, 64):
        raise DecodeError(f"a byte swap has 16, 32 or 64 bits, not {slot.immediate}", slot=number, opcode=slot.opcode)
    conditional: Literal["le", "be"] = "be" if slot.opcode & Source.X else "le"
    return ByteSwap("swap" if _width(slot) == 64 else conditional, slot.immediate, slot.dst)


def _load(_: _Program, number: int, slot: Slot) -> Instruction:
    _reserve(number, slot, "immediate")
    signed = slot.opcode & 0xE0 == Mode.MEMSX
    return Load(LOAD_SIZES[Size(slot.opcode & 0x18)], slot.dst, slot.src, slot.offset, signed)


def _store(_: _Program, number: int, slot: Slot) -> Instruction:
    source: Operand
    if slot.opcode & 7 == _C.STX:
        _reserve(number, slot, "immediate")
        source = Register(slot.src)
    else:
        _reserve(number, slot, "src")
        source = Immediate(slot.immediate)
    return Store(LOAD_SIZES[Size(slot.opcode & 0x18)], slot.dst, slot.offset, source)


def _atomic(_: _Program, number: int, slot: Slot) -> Instruction:
    size = LOAD_SIZES[Size(slot.opcode & 0x18)]
    if slot.immediate == AtomicCode.LOAD_ACQUIRE:
        return Load(size, slot.dst, slot.src, slot.offset, ordered=True)
    if slot.immediate == AtomicCode.STORE_RELEASE:
        return Store(size, slot.dst, slot.offset, Register(slot.src), ordered=True)
    meaning = ATOMICS.get(slot.immediate)
    if meaning is None:
        raise DecodeError(f"no atomic operation has the number {slot.immediate:#x}", slot=number, opcode=slot.opcode)
    if size not in ATOMIC_SIZES:
        raise DecodeError(f"an atomic update has 4 or 8 bytes, not {size}", slot=number, opcode=slot.opcode)
    op, fetch = meaning
    return Atomic(op, size, slot.dst, slot.offset, slot.src, fetch)


def _legacy_load(_: _Program, number: int, slot: Slot) -> Instruction:
    _reserve(number, slot, "dst", "offset")
    indexed = slot.opcode & 0xE0 == Mode.IND
    if not indexed:
        _reserve(number, slot, "src")
    size = LOAD_SIZES[Size(slot.opcode & 0x18)]
    return LegacyPacketLoad(size, slot.immediate, slot.src if indexed else None)


def _wide_load(program: _Program, number: int, slot: Slot) -> Instruction:
    _reserve(number, slot, "offset")
    if number + 1 == len(program.slots):
        raise DecodeError("the program ends in the middle of a 64-bit immediate load", slot=number, opcode=slot.opcode)
    second = program.slots[number + 1]
    if second.opcode:
        raise DecodeError(
            "the second half of a 64-bit immediate load has opcode 0", slot=number + 1, opcode=second.opcode
        )
    _reserve(number + 1, second, "dst", "src", "offset")
    match program.references.get(number):
        case MapReference(name):
            return LoadMap(slot.dst, name)
        case MapValueReference(name, offset):
            return LoadMapValue(slot.dst, name, offset)
        case FunctionReference(target):
            return LoadFunction(slot.dst, program.index_of(target, number))
        case ConstantReference(value):
            return LoadConstant(slot.dst, value)
    if slot.src == PseudoSource.VALUE:
        return LoadConstant(slot.dst, (second.immediate & 0xFFFFFFFF) << 32 | slot.immediate & 0xFFFFFFFF)
    if slot.src == PseudoSource.CODE:
        _reserve(number + 1, second, "immediate")
        return LoadFunction(slot.dst, program.index_of(number + 1 + slot.immediate, number))
    raise DecodeError(_unnamed(slot), slot=number, opcode=slot.opcode, hint="load the object file that holds it")


def _unnamed(slot: Slot) -> str:
    """Why a 64-bit immediate load that no relocation explains has no meaning here."""
    match slot.src:
        case PseudoSource.MAP_FD | PseudoSource.MAP_VALUE | PseudoSource.MAP_INDEX | PseudoSource.MAP_INDEX_VALUE:
            return f"the load names a map by the number {slot.immediate}, which means nothing outside of a process"
        case PseudoSource.VARIABLE:
            return f"the load names a variable of the platform by the number {slot.immediate}"
    return f"a 64-bit immediate load has no kind {slot.src}"


def _jump(program: _Program, number: int, slot: Slot) -> Instruction:
    _reserve(number, slot, "dst", "src")
    if slot.opcode & 7 == _C.JMP32:
        _reserve(number, slot, "offset")
        return Jump(program.index_of(number + 1 + slot.immediate, number), long=True)
    _reserve(number, slot, "immediate")
    return Jump(program.index_of(number + 1 + slot.offset, number))


def _branch(program: _Program, number: int, slot: Slot) -> Instruction:
    condition = CONDITIONS[JumpCode(slot.opcode & 0xF0)]
    target = program.index_of(number + 1 + slot.offset, number)
    return Branch(condition, _width(slot), slot.dst, _operand(number, slot), target)


def _call(program: _Program, number: int, slot: Slot) -> Instruction:
    _reserve(number, slot, "dst", "offset")
    match program.references.get(number):
        case FunctionReference(target):
            return CallFunction(program.index_of(target, number))
        case KernelFunctionReference(name):
            return CallKernel(0, name)
    match slot.src:
        case CallKind.HELPER:
            return CallHelper(slot.immediate)
        case CallKind.LOCAL:
            return CallFunction(program.index_of(number + 1 + slot.immediate, number))
        case CallKind.BTF:
            return CallKernel(slot.immediate)
    raise DecodeError(f"a call has no kind {slot.src}", slot=number, opcode=slot.opcode)


def _call_register(_: _Program, number: int, slot: Slot) -> Instruction:
    _reserve(number, slot, "src", "offset", "immediate")
    return CallRegister(slot.dst)


def _exit(_: _Program, number: int, slot: Slot) -> Instruction:
    _reserve(number, slot, "dst", "src", "offset", "immediate")
    return Exit()


def _build_table() -> dict[int, _Decoder]:
    """Every opcode that there is (RFC 9669, appendix A), with what decodes it."""
    narrow, every = (Size.W, Size.H, Size.B), (Size.W, Size.H, Size.B, Size.DW)
    table: dict[int, _Decoder] = {WIDE_LOAD: _wide_load}
    for source in Source:
        for kind in (_C.ALU, _C.ALU64):
            table |= {kind | source | code: _alu for code in ALU_OPS}
            table[kind | source | AluCode.MOV] = _move
        table[_C.ALU | source | AluCode.END] = _byte_swap
        for kind in (_C.JMP, _C.JMP32):
            table |= {kind | source | code: _branch for code in CONDITIONS}
    for kind in (_C.ALU, _C.ALU64):
        table[kind | AluCode.NEG] = _negate
    table[_C.ALU64 | AluCode.END] = _byte_swap
    table |= {_C.LDX | Mode.MEM | size: _load for size in every}
    table |= {_C.LDX | Mode.MEMSX | size: _load for size in narrow}
    table |= {kind | Mode.MEM | size: _store for kind in (_C.ST, _C.STX) for size in every}
    table |= {_C.STX | Mode.ATOMIC | size: _atomic for size in every}
    table |= {_C.LD | mode | size: _legacy_load for mode in (Mode.ABS, Mode.IND) for size in narrow}
    table |= {_C.JMP | JumpCode.JA: _jump, _C.JMP32 | JumpCode.JA: _jump, _C.JMP | JumpCode.EXIT: _exit}
    table |= {_C.JMP | JumpCode.CALL: _call, _C.JMP | JumpCode.CALL | Source.X: _call_register}
    return table


_DECODERS = _build_table()
