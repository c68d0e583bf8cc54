"""Steps that compute: arithmetic, moves, byte order, constants."""

from __future__ import annotations

from appliance.ebpf.interpreter.arithmetic import MASKS, OPERATIONS, signed, swap_bytes
from appliance.ebpf.interpreter.machine import Machine
from appliance.ebpf.interpreter.operands import Step, constant_or_register, needs_number, unwritten
from appliance.ebpf.interpreter.pointers import combine
from appliance.ebpf.interpreter.regions import FunctionAddress, Value
from appliance.ebpf.isa.instructions import Alu, ByteSwap, LoadConstant, LoadFunction, Move, Negate


def alu(i: Alu, following: int) -> Step:
    op, width, dst = i.op, i.width, i.dst
    operate = OPERATIONS[op, width]
    register, constant = constant_or_register(i.source, width)

    def with_constant(machine: Machine) -> int:
        registers = machine.registers
        left = registers[dst]
        if left.__class__ is int:
            registers[dst] = operate(left, constant)
        elif left is None:
            raise unwritten(dst)
        else:
            registers[dst] = combine(op, width, left, constant)
        return following

    def with_register(machine: Machine) -> int:
        registers = machine.registers
        left, right = registers[dst], registers[register]
        if left.__class__ is int and right.__class__ is int:
            registers[dst] = operate(left, right)
        elif left is None or right is None:
            raise unwritten(dst if left is None else register)
        else:
            registers[dst] = combine(op, width, left, right)
        return following

    return with_constant if register < 0 else with_register


def move(i: Move, following: int) -> Step:
    width, dst, sign_bits = i.width, i.dst, i.sign_bits
    mask = MASKS[width]
    register, constant = constant_or_register(i.source, width)

    def with_constant(machine: Machine) -> int:
        machine.registers[dst] = constant
        return following

    def whole(machine: Machine) -> int:
        registers = machine.registers
        value = registers[register]
        if value is None:
            raise unwritten(register)
        registers[dst] = value
        return following

    def cut(machine: Machine) -> int:
        value = needs_number(machine.registers[register], register)
        machine.registers[dst] = (signed(value, sign_bits) if sign_bits else value) & mask
        return following

    if register < 0:
        return with_constant
    return whole if width == 64 and not sign_bits else cut


def negate(i: Negate, following: int) -> Step:
    dst, mask = i.dst, MASKS[i.width]

    def step(machine: Machine) -> int:
        machine.registers[dst] = -needs_number(machine.registers[dst], dst) & mask
        return following

    return step


def byte_swap(i: ByteSwap, following: int) -> Step:
    dst, bits, swaps = i.dst, i.bits, i.order != "le"

    def step(machine: Machine) -> int:
        value = needs_number(machine.registers[dst], dst)
        machine.registers[dst] = swap_bytes(value, bits) if swaps else value & (1 << bits) - 1
        return following

    return step


def load_constant(i: LoadConstant, following: int) -> Step:
    return _put(i.dst, i.value, following)


def load_function(i: LoadFunction, following: int) -> Step:
    return _put(i.dst, FunctionAddress(i.target), following)


def _put(dst: int, value: Value, following: int) -> Step:
    def step(machine: Machine) -> int:
        machine.registers[dst] = value
        return following

    return step
