"""The tables that the decoder and the encoder read in opposite directions."""

from __future__ import annotations

from appliance.ebpf.isa.opcodes import AluCode, AluOp, AtomicCode, AtomicOp, Condition, JumpCode, Size

ALU_OPS: dict[AluCode, AluOp] = {
    AluCode.ADD: AluOp.ADD,
    AluCode.SUB: AluOp.SUB,
    AluCode.MUL: AluOp.MUL,
    AluCode.DIV: AluOp.DIV,
    AluCode.OR: AluOp.OR,
    AluCode.AND: AluOp.AND,
    AluCode.LSH: AluOp.LSH,
    AluCode.RSH: AluOp.RSH,
    AluCode.MOD: AluOp.MOD,
    AluCode.XOR: AluOp.XOR,
    AluCode.ARSH: AluOp.ARSH,
}

# The same code with 1 in the offset field (RFC 9669, section 4.1).
SIGNED_ALU_OPS: dict[AluOp, AluOp] = {AluOp.DIV: AluOp.SDIV, AluOp.MOD: AluOp.SMOD}

# By the width of a move: how many low bits of the source it can sign-extend.
SIGN_EXTENSIONS: dict[int, tuple[int, ...]] = {32: (8, 16), 64: (8, 16, 32)}

CONDITIONS: dict[JumpCode, Condition] = {
    JumpCode.JEQ: Condition.EQ,
    JumpCode.JNE: Condition.NE,
    JumpCode.JGT: Condition.GT,
    JumpCode.JGE: Condition.GE,
    JumpCode.JLT: Condition.LT,
    JumpCode.JLE: Condition.LE,
    JumpCode.JSGT: Condition.SGT,
    JumpCode.JSGE: Condition.SGE,
    JumpCode.JSLT: Condition.SLT,
    JumpCode.JSLE: Condition.SLE,
    JumpCode.JSET: Condition.SET,
}

LOAD_SIZES: dict[Size, int] = {Size.B: 1, Size.H: 2, Size.W: 4, Size.DW: 8}

ATOMIC_SIZES = (4, 8)

# The immediate of an atomic instruction: (operation, fetch).
ATOMICS: dict[int, tuple[AtomicOp, bool]] = {
    AtomicCode.ADD: (AtomicOp.ADD, False),
    AtomicCode.OR: (AtomicOp.OR, False),
    AtomicCode.AND: (AtomicOp.AND, False),
    AtomicCode.XOR: (AtomicOp.XOR, False),
    AtomicCode.ADD | AtomicCode.FETCH: (AtomicOp.ADD, True),
    AtomicCode.OR | AtomicCode.FETCH: (AtomicOp.OR, True),
    AtomicCode.AND | AtomicCode.FETCH: (AtomicOp.AND, True),
    AtomicCode.XOR | AtomicCode.FETCH: (AtomicOp.XOR, True),
    AtomicCode.XCHG: (AtomicOp.XCHG, True),
    AtomicCode.CMPXCHG: (AtomicOp.CMPXCHG, True),
}
