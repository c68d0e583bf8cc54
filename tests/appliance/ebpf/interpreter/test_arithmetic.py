"""Arbitrary arithmetic gives what Linux gives."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ebpf.interpreter import Interpreter
from appliance.ebpf.isa.codec import encode
from appliance.ebpf.isa.disassembler import disassemble
from appliance.ebpf.isa.instructions import (
    Alu,
    ByteSwap,
    Exit,
    Immediate,
    Instruction,
    LoadConstant,
    Move,
    Negate,
    Register,
)
from appliance.ebpf.isa.opcodes import AluOp
from appliance.ebpf.spec import ProgramSpec
from hooks.contracts.xdp import XDP_LINUX
from tests.kernel_bpf import run_in_kernel

REGISTERS = st.sampled_from([0, 2, 3])
WIDTHS = st.sampled_from([32, 64])
INTERESTING = [0, 1, 2, 7, 31, 32, 63, 64, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, (1 << 63) - 1, (1 << 64) - 1]
VALUES = st.sampled_from(INTERESTING) | st.integers(0, (1 << 64) - 1)
SHIFTS = (AluOp.LSH, AluOp.RSH, AluOp.ARSH)
OTHERS = [op for op in AluOp if op not in SHIFTS]
INT32 = st.integers(-(1 << 31), (1 << 31) - 1)


def steps() -> st.SearchStrategy[Instruction]:
    """What the kernel's verifier accepts: no immediate divisor of 0, no immediate shift of the whole width."""
    extended = st.sampled_from([(32, 8), (32, 16), (64, 8), (64, 16), (64, 32)])
    return st.one_of(
        st.builds(Alu, st.sampled_from(AluOp), WIDTHS, REGISTERS, st.builds(Register, REGISTERS)),
        st.builds(Alu, st.sampled_from(OTHERS), WIDTHS, REGISTERS, st.builds(Immediate, INT32.filter(bool))),
        st.builds(Alu, st.sampled_from(SHIFTS), WIDTHS, REGISTERS, st.builds(Immediate, st.integers(0, 31))),
        st.builds(lambda form, dst, src: Move(form[0], dst, Register(src), form[1]), extended, REGISTERS, REGISTERS),
        st.builds(Move, WIDTHS, REGISTERS, st.builds(Register, REGISTERS)),
        st.builds(Negate, WIDTHS, REGISTERS),
        st.builds(ByteSwap, st.sampled_from(["le", "be", "swap"]), st.sampled_from([16, 32, 64]), REGISTERS),
        st.builds(LoadConstant, REGISTERS, VALUES),
    )


@settings(max_examples=150, deadline=None)
@given(st.tuples(VALUES, VALUES, VALUES), st.lists(steps(), min_size=1, max_size=25))
def test_as_in_linux(values: tuple[int, int, int], body: list[Instruction]) -> None:
    """Both halves of r0, so that what a 32-bit operation leaves above counts too."""
    start = [LoadConstant(register, value) for register, value in zip((0, 2, 3), values, strict=True)]
    for halves in ([], [Alu(AluOp.RSH, 64, 0, Immediate(32))]):
        program = (*start, *body, *halves, Exit())
        ours = Interpreter(ProgramSpec("test", "xdp", XDP_LINUX, program)).run_memory(bytearray()) & 0xFFFFFFFF
        assert ours == run_in_kernel(encode(program), bytes(64)).result, "\n".join(disassemble(program))
