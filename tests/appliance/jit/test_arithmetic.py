"""Arithmetic at the edges that LLVM leaves undefined and RFC 9669 doesn't."""

import pytest

from appliance.ebpf.isa.instructions import Alu, ByteSwap, Exit, Immediate, LoadConstant, Move, Negate, Register, Width
from appliance.ebpf.isa.opcodes import AluOp
from tests.appliance.jit.support import run_raw

MIN64, MIN32, ALL = 1 << 63, 1 << 31, (1 << 64) - 1

EDGES: list[tuple[AluOp, Width, int, int, int]] = [
    (AluOp.DIV, 64, 7, 0, 0),
    (AluOp.DIV, 32, ALL, 0, 0),
    (AluOp.MOD, 64, ALL, 0, ALL),
    (AluOp.MOD, 32, ALL, 0, 0xFFFFFFFF),
    (AluOp.SDIV, 64, 7, 0, 0),
    (AluOp.SMOD, 64, ALL - 6, 0, ALL - 6),
    (AluOp.SDIV, 64, MIN64, ALL, MIN64),
    (AluOp.SDIV, 32, MIN32, ALL, MIN32),
    (AluOp.SMOD, 64, MIN64, ALL, 0),
    (AluOp.SMOD, 32, MIN32, ALL, 0),
    (AluOp.SDIV, 64, ALL - 6, 2, ALL - 2),
    (AluOp.SMOD, 64, ALL - 6, 2, ALL),
    (AluOp.LSH, 64, 1, 65, 2),
    (AluOp.LSH, 32, 1, 33, 2),
    (AluOp.RSH, 64, ALL, 127, 1),
    (AluOp.ARSH, 64, MIN64, 127, ALL),
    (AluOp.ARSH, 32, MIN32, 31, 0xFFFFFFFF),
    (AluOp.ADD, 32, ALL, 1, 0),
    (AluOp.MUL, 64, ALL, ALL, 1),
]


@pytest.mark.parametrize(("op", "width", "left", "right", "expected"), EDGES)
def test_edges(op: AluOp, width: Width, left: int, right: int, expected: int) -> None:
    program = [LoadConstant(0, left), LoadConstant(1, right), Alu(op, width, 0, Register(1)), Exit()]
    assert run_raw(program) == expected


def test_immediates_are_sign_extended() -> None:
    assert run_raw([Move(64, 0, Immediate(-2)), Exit()]) == ALL - 1
    assert run_raw([Move(32, 0, Immediate(-2)), Exit()]) == 0xFFFFFFFE
    assert run_raw([Move(64, 0, Immediate(3)), Alu(AluOp.SDIV, 64, 0, Immediate(-1)), Exit()]) == ALL - 2


def test_sign_extending_moves() -> None:
    for bits, width, expected in ((8, 64, ALL - 127), (8, 32, 0xFFFFFF80), (16, 64, 0x0080), (32, 64, 0x0080)):
        program = [LoadConstant(1, 0xABCD00000080), Move(width, 0, Register(1), bits), Exit()]
        assert run_raw(program) == expected


def test_negate() -> None:
    assert run_raw([Move(64, 0, Immediate(1)), Negate(64, 0), Exit()]) == ALL
    assert run_raw([Move(64, 0, Immediate(1)), Negate(32, 0), Exit()]) == 0xFFFFFFFF
    assert run_raw([LoadConstant(0, MIN64), Negate(64, 0), Exit()]) == MIN64


@pytest.mark.parametrize(
    ("order", "bits", "expected"),
    [
        ("le", 16, 0x7788),
        ("le", 32, 0x55667788),
        ("le", 64, 0x1122334455667788),
        ("be", 16, 0x8877),
        ("be", 32, 0x88776655),
        ("be", 64, 0x8877665544332211),
        ("swap", 16, 0x8877),
        ("swap", 32, 0x88776655),
        ("swap", 64, 0x8877665544332211),
    ],
)
def test_byte_swaps(order: str, bits: int, expected: int) -> None:
    program = [LoadConstant(0, 0x1122334455667788), ByteSwap(order, bits, 0), Exit()]  # type: ignore[arg-type]
    assert run_raw(program) == expected
