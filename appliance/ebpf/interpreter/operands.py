"""What every step asks of the registers that it uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from appliance.ebpf.interpreter.arithmetic import MASKS
from appliance.ebpf.interpreter.machine import Machine
from appliance.ebpf.interpreter.regions import Pointer, Value, describe
from appliance.ebpf.interpreter.violation import Violation
from appliance.ebpf.isa.instructions import Operand, Register

Step: TypeAlias = Callable[[Machine], int]


def needs_number(value: Value | None, register: int) -> int:
    if isinstance(value, int):
        return value
    raise unfit(value, register, "a number")


def needs_pointer(value: Value | None, register: int) -> Pointer:
    if isinstance(value, Pointer):
        return value
    raise unfit(value, register, "a pointer")


def unfit(value: Value | None, register: int, wanted: str) -> Violation:
    """The violation of a register that holds something else."""
    if value is None:
        return unwritten(register)
    return Violation(f"r{register} must be {wanted}, and is {describe(value)}")


def unwritten(register: int) -> Violation:
    """The violation of a register that holds nothing yet."""
    return Violation(f"r{register} is read before it is written")


def constant_or_register(source: Operand, width: int) -> tuple[int, int]:
    """(register, 0), or (-1, the constant as an unsigned number of `width` bits)."""
    if isinstance(source, Register):
        return source.number, 0
    return -1, source.value & MASKS[width]
