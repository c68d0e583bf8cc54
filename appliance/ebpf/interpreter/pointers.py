"""What pointers do in arithmetic and comparisons: little, and what they may not do has a message."""

from __future__ import annotations

import operator
from collections.abc import Callable

from appliance.ebpf.interpreter.arithmetic import signed
from appliance.ebpf.interpreter.regions import Pointer, Value, describe
from appliance.ebpf.interpreter.violation import Violation
from appliance.ebpf.isa.opcodes import AluOp, Condition


def combine(op: AluOp, width: int, left: Value | None, right: Value | None) -> Value:
    """`left op right` where not both are numbers: moving a pointer, or the distance of two in one region."""
    if width == 64 and isinstance(left, Pointer) and isinstance(right, int) and op in (AluOp.ADD, AluOp.SUB):
        distance = signed(right, 64)
        return Pointer(left.region, left.offset + (distance if op is AluOp.ADD else -distance))
    if isinstance(left, Pointer) and isinstance(right, Pointer) and op is AluOp.SUB:
        if left.region is not right.region:
            raise Violation(f"the distance from {right.region.name} to {left.region.name} means nothing")
        return (left.offset - right.offset) & (1 << width) - 1
    if width == 64 and isinstance(right, Pointer) and isinstance(left, int) and op is AluOp.ADD:
        return Pointer(right.region, right.offset + signed(left, 64))
    raise Violation(f"{width}-bit {op.name} of {describe(left)} and {describe(right)}")


_ORDER: dict[Condition, Callable[[int, int], bool]] = {
    Condition.GT: operator.gt,
    Condition.GE: operator.ge,
    Condition.LT: operator.lt,
    Condition.LE: operator.le,
}


def compare(condition: Condition, width: int, left: Value | None, right: Value | None) -> bool:
    """`left condition right` where not both are numbers: the same place or not, or the order within one region."""
    if width == 64 and left is not None and right is not None:
        comparable = left == 0 or right == 0 or not (isinstance(left, int) or isinstance(right, int))
        if condition in (Condition.EQ, Condition.NE) and comparable:
            return (left == right) is (condition is Condition.EQ)
        if condition in _ORDER and isinstance(left, Pointer) and isinstance(right, Pointer):
            if left.region is right.region:
                return _ORDER[condition](left.offset, right.offset)
            raise Violation(f"{left.region.name} and {right.region.name} have no order")
    raise Violation(f"{width}-bit comparison {condition.value} of {describe(left)} and {describe(right)}")
