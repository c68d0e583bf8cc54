"""Arithmetic: what RFC 9669, section 4.1, defines and LLVM leaves undefined is made explicit here.

x / 0 = 0        x % 0 = x        MIN s/ -1 = MIN        MIN s% -1 = 0        x << n  uses n modulo the width
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llvmlite import ir

from appliance.ebpf.isa.instructions import Alu, ByteSwap, Move, Negate
from appliance.ebpf.isa.opcodes import AluOp
from appliance.ir import Code, N
from appliance.jit.subprogram import Subprogram

Operation = Callable[[Code, N, N], N]


def _shift(name: str) -> Operation[Any]:
    def shift(code: Code, value: N, amount: N) -> N:
        masked = code.and_(amount, value.type.width - 1)
        shifted: N = getattr(code.builder, name)(value, masked)
        return shifted

    return shift


def _divide(code: Code, dividend: N, divisor: N) -> N:
    is_zero = code.compare(divisor, "==", 0)
    quotient: N = code.builder.udiv(dividend, code.select(is_zero, 1, divisor))
    return code.select(is_zero, 0, quotient)


def _modulo(code: Code, dividend: N, divisor: N) -> N:
    is_zero = code.compare(divisor, "==", 0)
    remainder: N = code.builder.urem(dividend, code.select(is_zero, 1, divisor))
    return code.select(is_zero, dividend, remainder)


def _divide_signed(code: Code, dividend: N, divisor: N) -> N:
    is_zero, is_minus_one = code.compare(divisor, "==", 0), code.compare(divisor, "==", -1)
    safe = code.select(code.or_(is_zero, is_minus_one), 1, divisor)
    quotient: N = code.builder.sdiv(dividend, safe)
    negated: N = code.builder.neg(dividend)
    return code.select(is_zero, 0, code.select(is_minus_one, negated, quotient))


def _modulo_signed(code: Code, dividend: N, divisor: N) -> N:
    is_zero, is_minus_one = code.compare(divisor, "==", 0), code.compare(divisor, "==", -1)
    safe = code.select(code.or_(is_zero, is_minus_one), 1, divisor)
    remainder: N = code.builder.srem(dividend, safe)  # 0 where the divisor is -1, as it should be
    return code.select(is_zero, dividend, remainder)


OPERATIONS: Mapping[AluOp, Operation[Any]] = {
    AluOp.ADD: Code.add,
    AluOp.SUB: Code.sub,
    AluOp.MUL: Code.mul,
    AluOp.DIV: _divide,
    AluOp.SDIV: _divide_signed,
    AluOp.OR: Code.or_,
    AluOp.AND: Code.and_,
    AluOp.LSH: _shift("shl"),
    AluOp.RSH: _shift("lshr"),
    AluOp.MOD: _modulo,
    AluOp.SMOD: _modulo_signed,
    AluOp.XOR: Code.xor,
    AluOp.ARSH: _shift("ashr"),
}


def emit_alu(sub: Subprogram, _index: int, alu: Alu) -> None:
    left, right = sub.read(alu.dst, alu.width), sub.operand(alu.source, alu.width)
    sub.write(alu.dst, OPERATIONS[alu.op](sub.code, left, right))


def emit_move(sub: Subprogram, _index: int, move: Move) -> None:
    if not move.sign_bits:
        sub.write(move.dst, sub.operand(move.source, move.width))
        return
    low = sub.narrow(sub.operand(move.source), move.sign_bits)
    sub.write(move.dst, sub.code.builder.sext(low, ir.IntType(move.width)))


def emit_negate(sub: Subprogram, _index: int, negate: Negate) -> None:
    sub.write(negate.dst, sub.code.builder.neg(sub.read(negate.dst, negate.width)))


def emit_byte_swap(sub: Subprogram, _index: int, swap: ByteSwap) -> None:
    low = sub.narrow(sub.read(swap.dst), swap.bits)
    keep = swap.order == "le"  # this machine's own order
    sub.write(swap.dst, low if keep else sub.code.swap_bytes(low))
