"""Steps that go elsewhere: jumps, branches, calls, returns."""

from __future__ import annotations

from appliance.ebpf.interpreter.arithmetic import comparison, signed
from appliance.ebpf.interpreter.machine import Machine
from appliance.ebpf.interpreter.operands import Step, constant_or_register, needs_number, unwritten
from appliance.ebpf.interpreter.pointers import compare
from appliance.ebpf.interpreter.regions import FunctionAddress
from appliance.ebpf.interpreter.violation import Violation
from appliance.ebpf.isa.instructions import Branch, CallFunction, CallHelper, CallKernel, CallRegister, Exit, Jump


def jump(i: Jump, _: int) -> Step:
    target = i.target
    return lambda _: target


def branch(i: Branch, following: int) -> Step:
    condition, width, dst, target = i.condition, i.width, i.dst, i.target
    holds = comparison(condition, width)
    register, constant = constant_or_register(i.source, width)

    def with_constant(machine: Machine) -> int:
        left = machine.registers[dst]
        if left.__class__ is int:
            return target if holds(left, constant) else following
        if left is None:
            raise unwritten(dst)
        return target if compare(condition, width, left, constant) else following

    def with_register(machine: Machine) -> int:
        left, right = machine.registers[dst], machine.registers[register]
        if left.__class__ is int and right.__class__ is int:
            return target if holds(left, right) else following
        if left is None or right is None:
            raise unwritten(dst if left is None else register)
        return target if compare(condition, width, left, right) else following

    return with_constant if register < 0 else with_register


def call_helper(i: CallHelper, following: int) -> Step:
    number = i.helper

    return lambda machine: machine.call(number, following)


def call_function(i: CallFunction, following: int) -> Step:
    target = i.target
    return lambda machine: machine.enter(target, following)


def call_register(i: CallRegister, following: int) -> Step:
    register = i.register

    def step(machine: Machine) -> int:
        callee = machine.registers[register]
        if isinstance(callee, FunctionAddress):
            return machine.enter(callee.index, following)
        return machine.call(signed(needs_number(callee, register), 32), following)

    return step


def call_kernel(i: CallKernel, _: int) -> Step:
    def step(_: Machine) -> int:
        raise Violation(f"there is no kernel function {i.name or i.btf_id} here")

    return step


def leave(_i: Exit, _: int) -> Step:
    return Machine.leave
