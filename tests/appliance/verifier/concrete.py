"""What instructions compute, on plain numbers: the oracle of the domain's tests (RFC 9669, section 4)."""

from __future__ import annotations

from appliance.ebpf.isa.opcodes import AluOp, Condition


def signed(width: int, number: int) -> int:
    return number - (1 << width) if number >> (width - 1) else number


def operate(op: AluOp, width: int, a: int, b: int) -> int:
    """`a op b` on unsigned numbers of that width."""
    mask = (1 << width) - 1
    a, b = a & mask, b & mask
    sa, sb = signed(width, a), signed(width, b)
    quotient = 0 if b == 0 else abs(sa) // abs(sb) * (1 if (sa < 0) == (sb < 0) else -1)
    results = {
        AluOp.ADD: a + b,
        AluOp.SUB: a - b,
        AluOp.MUL: a * b,
        AluOp.DIV: a // b if b else 0,
        AluOp.MOD: a % b if b else a,
        AluOp.SDIV: quotient,
        AluOp.SMOD: sa - sb * quotient if b else a,
        AluOp.OR: a | b,
        AluOp.AND: a & b,
        AluOp.XOR: a ^ b,
        AluOp.LSH: a << b % width,
        AluOp.RSH: a >> b % width,
        AluOp.ARSH: sa >> b % width,
    }
    return results[op] & mask


def compare(condition: Condition, width: int, a: int, b: int) -> bool:
    mask = (1 << width) - 1
    a, b = a & mask, b & mask
    sa, sb = signed(width, a), signed(width, b)
    return {
        Condition.EQ: a == b,
        Condition.NE: a != b,
        Condition.GT: a > b,
        Condition.GE: a >= b,
        Condition.LT: a < b,
        Condition.LE: a <= b,
        Condition.SGT: sa > sb,
        Condition.SGE: sa >= sb,
        Condition.SLT: sa < sb,
        Condition.SLE: sa <= sb,
        Condition.SET: bool(a & b),
    }[condition]
