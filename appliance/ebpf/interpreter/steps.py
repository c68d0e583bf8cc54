"""Instructions made into steps: functions that change the machine and answer which instruction comes next.

Each instruction is looked at once, when its step is made; what it needs is bound to the step, and a run is no more than
a loop over calls. Registers are used in place. The frequent case, where every operand is a number, is asked for first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from appliance.ebpf.instructions import (
    FRAME_POINTER,
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
)
from appliance.ebpf.interpreter.arithmetic import ATOMICS, MASKS, OPERATIONS, comparison, signed, swap_bytes
from appliance.ebpf.interpreter.machine import FINISHED, Machine
from appliance.ebpf.interpreter.pointers import combine, compare
from appliance.ebpf.interpreter.values import FunctionAddress, MapHandle, Pointer, Value, Violation, describe
from appliance.ebpf.opcodes import AtomicOp

Step: TypeAlias = Callable[[Machine], int]


def make_steps(instructions: Sequence[Instruction]) -> list[Step]:
    """One step for each instruction, and one behind the last, which is a violation to reach."""
    return [*(_make_step(instruction, index + 1) for index, instruction in enumerate(instructions)), _run_past]


def _make_step(instruction: Instruction, following: int) -> Step:
    match instruction:
        case Branch() | Store():
            written = None
        case Atomic(op, src=src, fetch=fetch):
            written = src if fetch and op is not AtomicOp.CMPXCHG else None
        case _:
            written = getattr(instruction, "dst", None)
    return _write_frame_pointer if written == FRAME_POINTER else _STEPS[type(instruction)](instruction, following)


def _write_frame_pointer(_: Machine) -> int:
    raise Violation("r10 is read-only")


def _run_past(_: Machine) -> int:
    raise Violation("the program runs past its last instruction")


def _needs_number(value: Value | None, register: int) -> int:
    if isinstance(value, int):
        return value
    raise _unfit(value, register, "a number")


def _needs_pointer(value: Value | None, register: int) -> Pointer:
    if isinstance(value, Pointer):
        return value
    raise _unfit(value, register, "a pointer")


def _unfit(value: Value | None, register: int, wanted: str) -> Violation:
    if value is None:
        return Violation(f"r{register} is read before it is written")
    return Violation(f"r{register} must be {wanted}, and is {describe(value)}")


def _constant(source: Operand, width: int) -> tuple[int, int]:
    """(register, 0), or (-1, the constant as an unsigned number of `width` bits)."""
    if isinstance(source, Register):
        return source.number, 0
    return -1, source.value & MASKS[width]


def _alu(i: Alu, following: int) -> Step:
    op, width, dst = i.op, i.width, i.dst
    operate = OPERATIONS[op, width]
    register, constant = _constant(i.source, width)

    def with_constant(machine: Machine) -> int:
        registers = machine.registers
        left = registers[dst]
        if left.__class__ is int:
            registers[dst] = operate(left, constant)
        elif left is None:
            raise _unfit(None, dst, "")
        else:
            registers[dst] = combine(op, width, left, constant)
        return following

    def with_register(machine: Machine) -> int:
        registers = machine.registers
        left, right = registers[dst], registers[register]
        if left.__class__ is int and right.__class__ is int:
            registers[dst] = operate(left, right)
        elif left is None or right is None:
            raise _unfit(None, dst if left is None else register, "")
        else:
            registers[dst] = combine(op, width, left, right)
        return following

    return with_constant if register < 0 else with_register


def _move(i: Move, following: int) -> Step:
    width, dst, sign_bits = i.width, i.dst, i.sign_bits
    mask = MASKS[width]
    register, constant = _constant(i.source, width)

    def with_constant(machine: Machine) -> int:
        machine.registers[dst] = constant
        return following

    def whole(machine: Machine) -> int:
        registers = machine.registers
        value = registers[register]
        if value is None:
            raise _unfit(None, register, "")
        registers[dst] = value
        return following

    def cut(machine: Machine) -> int:
        value = _needs_number(machine.registers[register], register)
        machine.registers[dst] = (signed(value, sign_bits) if sign_bits else value) & mask
        return following

    if register < 0:
        return with_constant
    return whole if width == 64 and not sign_bits else cut


def _negate(i: Negate, following: int) -> Step:
    dst, mask = i.dst, MASKS[i.width]

    def step(machine: Machine) -> int:
        machine.registers[dst] = -_needs_number(machine.registers[dst], dst) & mask
        return following

    return step


def _byte_swap(i: ByteSwap, following: int) -> Step:
    dst, bits, swaps = i.dst, i.bits, i.order != "le"

    def step(machine: Machine) -> int:
        value = _needs_number(machine.registers[dst], dst)
        machine.registers[dst] = swap_bytes(value, bits) if swaps else value & (1 << bits) - 1
        return following

    return step


def _load(i: Load, following: int) -> Step:
    size, dst, base, offset = i.size, i.dst, i.base, i.offset

    def plain(machine: Machine) -> int:
        registers = machine.registers
        pointer = registers[base]
        if pointer.__class__ is not Pointer:
            raise _unfit(pointer, base, "a pointer")
        registers[dst] = pointer.region.load(pointer.offset + offset, size)
        return following

    def extended(machine: Machine) -> int:
        pointer = _needs_pointer(machine.registers[base], base)
        value = _needs_number(pointer.region.load(pointer.offset + offset, size), dst)
        machine.registers[dst] = signed(value, size * 8) & MASKS[64]
        return following

    return extended if i.signed else plain


def _store(i: Store, following: int) -> Step:
    size, base, offset = i.size, i.base, i.offset
    register, constant = _constant(i.source, 64)

    def step(machine: Machine) -> int:
        registers = machine.registers
        value = constant if register < 0 else registers[register]
        pointer = _needs_pointer(registers[base], base)
        if value is None:
            raise _unfit(None, register, "")
        pointer.region.store(pointer.offset + offset, size, value)
        return following

    return step


def _atomic(i: Atomic, following: int) -> Step:
    size, base, offset, src = i.size, i.base, i.offset, i.src
    fetched = (0 if i.op is AtomicOp.CMPXCHG else src) if i.fetch else -1
    mask = (1 << size * 8) - 1

    def step(machine: Machine) -> int:
        registers = machine.registers
        pointer = _needs_pointer(registers[base], base)
        operand = _needs_number(registers[src], src)
        place = pointer.offset + offset
        old = pointer.region.load(place, size)
        if not isinstance(old, int):
            raise Violation("an atomic operation on a pointer", pointer.region.name, place)
        if i.op is AtomicOp.CMPXCHG:
            new = operand if old == _needs_number(registers[0], 0) & mask else old
        else:
            new = ATOMICS[i.op](old, operand)
        pointer.region.store(place, size, new & mask)
        if fetched >= 0:
            registers[fetched] = old
        return following

    return step


def _legacy_load(i: LegacyPacketLoad, following: int) -> Step:
    size, offset, index = i.size, i.offset, i.index

    def step(machine: Machine) -> int:
        if machine.context is None:
            raise Violation("a packet load works on a packet, and there is none here")
        registers, packet = machine.registers, machine.context.packet
        start = offset + (0 if index is None else signed(_needs_number(registers[index], index), 32))
        if start < 0 or start + size > packet.data_end - packet.data:
            registers[0] = 0  # these loads check themselves: beyond the packet, the program ends with 0
            return FINISHED
        content = packet.region.read(start, size)
        registers[:6] = [int.from_bytes(content, "big"), None, None, None, None, None]
        return following

    return step


def _load_constant(i: LoadConstant, following: int) -> Step:
    return _put(i.dst, i.value, following)


def _load_function(i: LoadFunction, following: int) -> Step:
    return _put(i.dst, FunctionAddress(i.target), following)


def _put(dst: int, value: Value, following: int) -> Step:
    def step(machine: Machine) -> int:
        machine.registers[dst] = value
        return following

    return step


def _load_map(i: LoadMap, following: int) -> Step:
    dst, name = i.dst, i.map

    def step(machine: Machine) -> int:
        machine.registers[dst] = MapHandle(machine.map_named(name))
        return following

    return step


def _load_map_value(i: LoadMapValue, following: int) -> Step:
    dst, name, offset = i.dst, i.map, i.offset

    def step(machine: Machine) -> int:
        map_ = machine.map_named(name)
        value = map_.lookup(bytes(map_.spec.key_size))
        if value is None:
            raise Violation(f"the map {name!r} has no value 0")
        machine.registers[dst] = machine.value_pointer(map_, value, offset)
        return following

    return step


def _jump(i: Jump, _: int) -> Step:
    target = i.target
    return lambda _: target


def _branch(i: Branch, following: int) -> Step:
    condition, width, dst, target = i.condition, i.width, i.dst, i.target
    holds = comparison(condition, width)
    register, constant = _constant(i.source, width)

    def with_constant(machine: Machine) -> int:
        left = machine.registers[dst]
        if left.__class__ is int:
            return target if holds(left, constant) else following
        if left is None:
            raise _unfit(None, dst, "")
        return target if compare(condition, width, left, constant) else following

    def with_register(machine: Machine) -> int:
        left, right = machine.registers[dst], machine.registers[register]
        if left.__class__ is int and right.__class__ is int:
            return target if holds(left, right) else following
        if left is None or right is None:
            raise _unfit(None, dst if left is None else register, "")
        return target if compare(condition, width, left, right) else following

    return with_constant if register < 0 else with_register


def _call_helper(i: CallHelper, following: int) -> Step:
    number = i.helper

    def step(machine: Machine) -> int:
        machine.call(number)
        return following

    return step


def _call_function(i: CallFunction, following: int) -> Step:
    target = i.target
    return lambda machine: machine.enter(target, following)


def _call_register(i: CallRegister, following: int) -> Step:
    register = i.register

    def step(machine: Machine) -> int:
        callee = machine.registers[register]
        if isinstance(callee, FunctionAddress):
            return machine.enter(callee.index, following)
        machine.call(signed(_needs_number(callee, register), 32))
        return following

    return step


def _call_kernel(i: CallKernel, _: int) -> Step:
    def step(_: Machine) -> int:
        raise Violation(f"there is no kernel function {i.btf_id} here")

    return step


def _exit(_i: Exit, _: int) -> Step:
    return Machine.leave


_STEPS: dict[type, Callable[[Any, int], Step]] = {
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
    CallRegister: _call_register,
    CallKernel: _call_kernel,
    Exit: _exit,
}
