"""Instructions to text: the listing that every report, `tidegate disasm` and a golden test show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
from appliance.ebpf.isa.opcodes import AtomicOp
from appliance.ebpf.isa.syntax import EXCHANGE_NAMES, FETCH_NAMES, SWAP_NAMES, TYPE_NAMES
from appliance.ebpf.platform import LINUX, Platform
from appliance.errors import SourceLine


def disassemble(
    instructions: Sequence[Instruction], lines: Mapping[int, SourceLine] | None = None, platform: Platform = LINUX
) -> list[str]:
    """The listing: one line per instruction, headed by its slot number, in the language of `syntax`.

    `lines` (as in ProgramSpec) quotes each source line before the first instruction that came from it. Targets are
    labelled by their slot number: `L12` stands before slot 12.
    """
    slots = slot_numbers(instructions)
    targets = {target for instruction in instructions if (target := getattr(instruction, "target", None)) is not None}
    listing: list[str] = []
    quoted: SourceLine | None = None
    for index, instruction in enumerate(instructions):
        line = (lines or {}).get(index)
        if line is not None and line != quoted:
            listing.append(f"; {line}: {line.text.strip()}" if line.text else f"; {line}")
            quoted = line
        if index in targets:
            listing.append(f"L{slots[index]}:")
        listing.append(f"{slots[index]:6}: {statement(instruction, slots, platform)}")
    return listing


def statement(instruction: Instruction, slots: Sequence[int], platform: Platform = LINUX) -> str:
    """One instruction as text. `slots` (see `slot_numbers`) gives its targets their labels."""
    return _WRITERS[type(instruction)](instruction, _Names(slots, platform))


@dataclass(frozen=True, slots=True)
class _Names:
    """What a statement calls the things outside of itself."""

    slots: Sequence[int]
    platform: Platform

    def label(self, target: int) -> str:
        return f"L{self.slots[target]}"

    def helper(self, number: int) -> str:
        return self.platform.helpers.get(number, str(number))


def _register(number: int, width: int) -> str:
    return f"{'r' if width == 64 else 'w'}{number}"


def _operand(source: Operand, width: int) -> str:
    return _register(source.number, width) if isinstance(source, Register) else str(source.value)


def _place(base: int, offset: int) -> str:
    return f"r{base} {'-' if offset < 0 else '+'} {abs(offset)}"


def _memory(size: int, base: int, offset: int, signed: bool = False) -> str:
    return f"*({TYPE_NAMES[size, signed]} *)({_place(base, offset)})"


def _alu(i: Alu, _: _Names) -> str:
    return f"{_register(i.dst, i.width)} {i.op.value} {_operand(i.source, i.width)}"


def _move(i: Move, _: _Names) -> str:
    extension = f"(s{i.sign_bits})" if i.sign_bits else ""
    return f"{_register(i.dst, i.width)} = {extension}{_operand(i.source, i.width)}"


def _negate(i: Negate, _: _Names) -> str:
    register = _register(i.dst, i.width)
    return f"{register} = -{register}"


def _byte_swap(i: ByteSwap, _: _Names) -> str:
    return f"r{i.dst} = {SWAP_NAMES[i.order]}{i.bits} r{i.dst}"


def _ordered_place(i: Load | Store) -> str:
    return f"({TYPE_NAMES[i.size, False]} *)({_place(i.base, i.offset)})"


def _load(i: Load, _: _Names) -> str:
    if i.ordered:
        return f"{_register(i.dst, 64 if i.size == 8 else 32)} = load_acquire({_ordered_place(i)})"
    return f"r{i.dst} = {_memory(i.size, i.base, i.offset, i.signed)}"


def _store(i: Store, _: _Names) -> str:
    if i.ordered:
        return f"store_release({_ordered_place(i)}, {_operand(i.source, 64 if i.size == 8 else 32)})"
    return f"{_memory(i.size, i.base, i.offset)} = {_operand(i.source, 64)}"


def _atomic(i: Atomic, _: _Names) -> str:
    width = i.size * 8
    source, place = _register(i.src, width), _place(i.base, i.offset)
    if i.op is AtomicOp.CMPXCHG:
        old = _register(0, width)
        return f"{old} = {EXCHANGE_NAMES[i.op, i.size]}({place}, {old}, {source})"
    if i.op is AtomicOp.XCHG:
        return f"{source} = {EXCHANGE_NAMES[i.op, i.size]}({place}, {source})"
    if i.fetch:
        return f"{source} = {FETCH_NAMES[i.op]}(({TYPE_NAMES[i.size, False]} *)({place}), {source})"
    return f"lock {_memory(i.size, i.base, i.offset)} {i.op.value} {source}"


def _legacy_load(i: LegacyPacketLoad, _: _Names) -> str:
    where = str(i.offset) if i.index is None else _place(i.index, i.offset)
    return f"r0 = *({TYPE_NAMES[i.size, False]} *)skb[{where}]"


def _load_constant(i: LoadConstant, _: _Names) -> str:
    return f"r{i.dst} = {i.value:#x} ll"


def _load_map(i: LoadMap, _: _Names) -> str:
    return f"r{i.dst} = map[{i.map}] ll"


def _load_map_value(i: LoadMapValue, _: _Names) -> str:
    return f"r{i.dst} = map[{i.map}][0] + {i.offset} ll"


def _load_function(i: LoadFunction, names: _Names) -> str:
    return f"r{i.dst} = func {names.label(i.target)} ll"


def _jump(i: Jump, names: _Names) -> str:
    return f"{'gotol' if i.long else 'goto'} {names.label(i.target)}"


def _branch(i: Branch, names: _Names) -> str:
    left, right = _register(i.dst, i.width), _operand(i.source, i.width)
    return f"if {left} {i.condition.value} {right} goto {names.label(i.target)}"


def _call_helper(i: CallHelper, names: _Names) -> str:
    return f"call {names.helper(i.helper)}"


def _call_function(i: CallFunction, names: _Names) -> str:
    return f"call {names.label(i.target)}"


def _call_kernel(i: CallKernel, _: _Names) -> str:
    return f"call kernel {i.btf_id}"


def _call_register(i: CallRegister, _: _Names) -> str:
    return f"callx r{i.register}"


def _exit(_i: Exit, _: _Names) -> str:
    return "exit"


_WRITERS: dict[type, Callable[[Any, _Names], str]] = {
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
