"""Any straight line of arithmetic gives the same registers in native code and in the checking interpreter."""

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ebpf.interpreter import Interpreter
from appliance.ebpf.isa.instructions import (
    Alu,
    Atomic,
    Branch,
    ByteSwap,
    Exit,
    Immediate,
    Instruction,
    Load,
    LoadConstant,
    Move,
    Negate,
    Operand,
    Register,
    Store,
)
from appliance.ebpf.isa.opcodes import AluOp, AtomicOp, Condition
from appliance.ebpf.spec import ProgramSpec
from hooks.contracts.xdp import XDP_LINUX
from tests.appliance.jit.support import run_raw

MEMORY = 64
POINTER = 9  # keeps r1, the address of the memory: addresses differ between engines and must not enter the arithmetic

REGISTERS = st.integers(0, 8)
WIDTHS = st.sampled_from([32, 64])
EDGES = st.sampled_from(
    [0, 1, 2, 31, 32, 63, 64, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 63, (1 << 64) - 1]
)
CONSTANTS = EDGES | st.integers(0, (1 << 64) - 1)
IMMEDIATES = st.sampled_from([0, 1, -1, -(1 << 31), (1 << 31) - 1]) | st.integers(-(1 << 31), (1 << 31) - 1)
OPERANDS: st.SearchStrategy[Operand] = st.builds(Register, REGISTERS) | st.builds(Immediate, IMMEDIATES)
SIGN_EXTENSIONS = st.sampled_from([(32, 8), (32, 16), (64, 8), (64, 16), (64, 32)])
PLACES = st.sampled_from([1, 2, 4, 8]).flatmap(
    lambda size: st.tuples(st.just(size), st.integers(0, MEMORY // size - 1).map(lambda slot: slot * size))
)
FETCHING = st.sampled_from([AtomicOp.ADD, AtomicOp.OR, AtomicOp.AND, AtomicOp.XOR, AtomicOp.XCHG, AtomicOp.CMPXCHG])

STEPS: st.SearchStrategy[Instruction] = st.one_of(
    st.builds(Alu, st.sampled_from(AluOp), WIDTHS, REGISTERS, OPERANDS),
    st.builds(Move, WIDTHS, REGISTERS, OPERANDS),
    st.builds(lambda form, dst, src: Move(form[0], dst, Register(src), form[1]), SIGN_EXTENSIONS, REGISTERS, REGISTERS),
    st.builds(Negate, WIDTHS, REGISTERS),
    st.builds(ByteSwap, st.sampled_from(["le", "be", "swap"]), st.sampled_from([16, 32, 64]), REGISTERS),
    st.builds(LoadConstant, REGISTERS, CONSTANTS),
    st.builds(lambda place, dst: Load(place[0], dst, POINTER, place[1]), PLACES, REGISTERS),
    st.builds(lambda place, dst: Load(place[0], dst, POINTER, place[1], place[0] < 8), PLACES, REGISTERS),
    st.builds(lambda place, source: Store(place[0], POINTER, place[1], source), PLACES, OPERANDS),
    st.builds(
        lambda op, size, slot, src: Atomic(op, size, POINTER, slot * 8, src, True),
        FETCHING,
        st.sampled_from([4, 8]),
        st.integers(0, MEMORY // 8 - 1),
        REGISTERS,
    ),
)


def both(instructions: list[Instruction], memory: bytes) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """(r0, the memory afterwards) of the JIT and of the interpreter."""
    ours, theirs = bytearray(memory), bytearray(memory)
    native = run_raw(instructions, ours)
    checked = Interpreter(ProgramSpec("test", "", XDP_LINUX, tuple(instructions))).run_memory(theirs)
    return (native, bytes(ours)), (checked, bytes(theirs))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(CONSTANTS, min_size=9, max_size=9),
    st.lists(STEPS, min_size=1, max_size=40),
    st.binary(min_size=MEMORY, max_size=MEMORY),
)
def test_straight_lines(initial: list[int], steps: list[Instruction], memory: bytes) -> None:
    """All registers go into r0 at the end, each by another factor."""
    mixing: list[Instruction] = []
    for register in range(1, 9):
        mixing += [Alu(AluOp.MUL, 64, 0, Immediate(31)), Alu(AluOp.ADD, 64, 0, Register(register))]
    loading = [LoadConstant(register, value) for register, value in enumerate(initial)]
    native, checked = both([Move(64, POINTER, Register(1)), *loading, *steps, *mixing, Exit()], memory)
    assert native == checked


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(Condition), WIDTHS, CONSTANTS, CONSTANTS | IMMEDIATES), min_size=1, max_size=20)
)
def test_branches(questions: list[tuple[Condition, int, int, int]]) -> None:
    """Each answer is one bit of r0."""
    program: list[Instruction] = [Move(64, 0, Immediate(0))]
    for condition, width, left, right in questions:
        program += [Alu(AluOp.LSH, 64, 0, Immediate(1)), LoadConstant(1, left), LoadConstant(2, right % (1 << 64))]
        end = len(program) + 2
        program += [Branch(condition, width, 1, Register(2), end), Alu(AluOp.OR, 64, 0, Immediate(1))]  # type: ignore[arg-type]
    native, checked = both([*program, Exit()], bytes(8))
    assert native == checked
