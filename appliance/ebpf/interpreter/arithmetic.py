"""What numbers do (RFC 9669, section 4): the tables of operations and conditions, by width.

Registers are unsigned here. Division by zero gives 0, a remainder by zero leaves the dividend, shift counts are masked
to the width, and a signed quotient rounds towards zero; INT_MIN / -1 is INT_MIN again, and its remainder 0.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TypeAlias

from appliance.ebpf.isa.opcodes import AluOp, AtomicOp, Condition

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1
MASKS = {32: M32, 64: M64}

Operation: TypeAlias = Callable[[int, int], int]


def signed(value: int, bits: int) -> int:
    """The low `bits` of `value` as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (value >> bits - 1 << bits)


def swap_bytes(value: int, bits: int) -> int:
    """The low `bits` of `value`, last byte first."""
    size = bits // 8
    return int.from_bytes((value & (1 << bits) - 1).to_bytes(size, "little"), "big")


def _signed_quotient(bits: int) -> Operation:
    def divide(dividend: int, divisor: int) -> int:
        left, right = signed(dividend, bits), signed(divisor, bits)
        if right == 0:
            return 0
        quotient = abs(left) // abs(right)
        return (quotient if (left < 0) is (right < 0) else -quotient) & MASKS[bits]

    return divide


def _signed_remainder(bits: int) -> Operation:
    def remainder(dividend: int, divisor: int) -> int:
        left, right = signed(dividend, bits), signed(divisor, bits)
        if right == 0:
            return left & MASKS[bits]
        rest = abs(left) % abs(right)
        return (-rest if left < 0 else rest) & MASKS[bits]

    return remainder


OPERATIONS: dict[tuple[AluOp, int], Operation] = {
    (AluOp.ADD, 64): lambda a, b: (a + b) & M64,
    (AluOp.SUB, 64): lambda a, b: (a - b) & M64,
    (AluOp.MUL, 64): lambda a, b: (a * b) & M64,
    (AluOp.DIV, 64): lambda a, b: a // b if b else 0,
    (AluOp.MOD, 64): lambda a, b: a % b if b else a,
    (AluOp.SDIV, 64): _signed_quotient(64),
    (AluOp.SMOD, 64): _signed_remainder(64),
    (AluOp.OR, 64): operator.or_,
    (AluOp.AND, 64): operator.and_,
    (AluOp.XOR, 64): operator.xor,
    (AluOp.LSH, 64): lambda a, b: a << (b & 63) & M64,
    (AluOp.RSH, 64): lambda a, b: a >> (b & 63),
    (AluOp.ARSH, 64): lambda a, b: signed(a, 64) >> (b & 63) & M64,
    (AluOp.ADD, 32): lambda a, b: (a + b) & M32,
    (AluOp.SUB, 32): lambda a, b: (a - b) & M32,
    (AluOp.MUL, 32): lambda a, b: (a * b) & M32,
    (AluOp.DIV, 32): lambda a, b: (a & M32) // (b & M32) if b & M32 else 0,
    (AluOp.MOD, 32): lambda a, b: (a & M32) % (b & M32) if b & M32 else a & M32,
    (AluOp.SDIV, 32): _signed_quotient(32),
    (AluOp.SMOD, 32): _signed_remainder(32),
    (AluOp.OR, 32): lambda a, b: (a | b) & M32,
    (AluOp.AND, 32): lambda a, b: a & b & M32,
    (AluOp.XOR, 32): lambda a, b: (a ^ b) & M32,
    (AluOp.LSH, 32): lambda a, b: a << (b & 31) & M32,
    (AluOp.RSH, 32): lambda a, b: (a & M32) >> (b & 31),
    (AluOp.ARSH, 32): lambda a, b: signed(a, 32) >> (b & 31) & M32,
}

_UNSIGNED_CONDITIONS: dict[Condition, Callable[[int, int], bool]] = {
    Condition.EQ: operator.eq,
    Condition.NE: operator.ne,
    Condition.GT: operator.gt,
    Condition.GE: operator.ge,
    Condition.LT: operator.lt,
    Condition.LE: operator.le,
    Condition.SET: lambda a, b: a & b != 0,
}
_SIGNED_CONDITIONS: dict[Condition, Callable[[int, int], bool]] = {
    Condition.SGT: operator.gt,
    Condition.SGE: operator.ge,
    Condition.SLT: operator.lt,
    Condition.SLE: operator.le,
}


def comparison(condition: Condition, width: int) -> Callable[[int, int], bool]:
    """The test that a branch makes, on two registers of which only the low `width` bits count."""
    if condition in _SIGNED_CONDITIONS:
        test = _SIGNED_CONDITIONS[condition]
        return lambda a, b: test(signed(a, width), signed(b, width))
    test = _UNSIGNED_CONDITIONS[condition]
    return test if width == 64 else lambda a, b: test(a & M32, b & M32)


ATOMICS: dict[AtomicOp, Operation] = {
    AtomicOp.ADD: operator.add,
    AtomicOp.OR: operator.or_,
    AtomicOp.AND: operator.and_,
    AtomicOp.XOR: operator.xor,
    AtomicOp.XCHG: lambda _, new: new,
}
