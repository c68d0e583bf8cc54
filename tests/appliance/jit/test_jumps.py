"""Jumps, loops and calls of subprograms."""

import pytest

from appliance.ebpf.isa.instructions import (
    Alu,
    Branch,
    CallFunction,
    CallHelper,
    CallKernel,
    CallRegister,
    Exit,
    Immediate,
    Instruction,
    Jump,
    Load,
    LoadConstant,
    LoadFunction,
    LoadMap,
    Move,
    Register,
    Store,
    Width,
)
from appliance.ebpf.isa.opcodes import AluOp, Condition
from appliance.jit.subprogram import NotCompilable
from tests.appliance.jit.support import Frame, program, run_frame, run_raw

ALL = (1 << 64) - 1

HOLDS: list[tuple[Condition, Width, int, int, bool]] = [
    (Condition.EQ, 64, 5, 5, True),
    (Condition.EQ, 64, 1 << 32, 0, False),
    (Condition.EQ, 32, 1 << 32, 0, True),
    (Condition.NE, 64, 5, 5, False),
    (Condition.GT, 64, ALL, 1, True),
    (Condition.SGT, 64, ALL, 1, False),
    (Condition.GE, 64, 5, 5, True),
    (Condition.SGE, 32, 0x80000000, 0, False),
    (Condition.LT, 64, 1, ALL, True),
    (Condition.SLT, 64, ALL, 1, True),
    (Condition.LE, 32, (7 << 32) | 1, 1, True),
    (Condition.SLE, 32, 0xFFFFFFFF, 0, True),
    (Condition.SET, 64, 6, 2, True),
    (Condition.SET, 32, 1 << 32, 1 << 32, False),
]


@pytest.mark.parametrize(("condition", "width", "left", "right", "holds"), HOLDS)
def test_conditions(condition: Condition, width: Width, left: int, right: int, holds: bool) -> None:
    instructions = [
        Move(64, 0, Immediate(1)),
        LoadConstant(1, left),
        LoadConstant(2, right),
        Branch(condition, width, 1, Register(2), 5),
        Move(64, 0, Immediate(0)),
        Exit(),
    ]
    assert run_raw(instructions) == holds


def test_a_loop_keeps_its_registers() -> None:
    instructions = [
        Move(64, 0, Immediate(0)),
        Move(64, 1, Immediate(10)),
        Alu(AluOp.ADD, 64, 0, Register(1)),
        Alu(AluOp.SUB, 64, 1, Immediate(1)),
        Branch(Condition.NE, 64, 1, Immediate(0), 2),
        Exit(),
    ]
    assert run_raw(instructions) == 55


def test_ways_that_nobody_takes_are_not_written() -> None:
    """The instruction that has no native code stands where control never comes."""
    instructions = [
        Move(64, 0, Immediate(4)),
        Branch(Condition.EQ, 64, 0, Immediate(4), 3),
        CallKernel(1),
        Exit(),
    ]
    assert run_frame(program(instructions, reachable=frozenset({0, 1, 3})), Frame(b"").context) == 4


def test_subprograms_have_registers_and_a_stack_of_their_own() -> None:
    """f(n) = n + f(n - 1), f(0) = 0; r6 and the stack slot survive the call."""
    instructions: list[Instruction] = [
        Move(64, 1, Immediate(4)),
        CallFunction(3),
        Exit(),
        Move(64, 0, Immediate(0)),
        Branch(Condition.EQ, 64, 1, Immediate(0), 11),
        Move(64, 6, Register(1)),
        Store(8, 10, -8, Register(1)),
        Alu(AluOp.SUB, 64, 1, Immediate(1)),
        CallFunction(3),
        Load(8, 2, 10, -8),
        Alu(AluOp.ADD, 64, 0, Register(2)),
        Exit(),
    ]
    assert run_raw(instructions) == 4 + 3 + 2 + 1


def test_a_callee_reaches_its_callers_stack() -> None:
    instructions: list[Instruction] = [
        Move(64, 1, Register(10)),
        CallFunction(4),
        Load(8, 0, 10, -16),
        Exit(),
        Store(8, 1, -16, Immediate(77)),
        Exit(),
    ]
    assert run_raw(instructions) == 77


def test_an_address_taken_in_one_function_is_called_in_another() -> None:
    """The entry calls a function that gives the address of a third one; none of the three calls the third by name."""
    instructions: list[Instruction] = [
        CallFunction(5),
        Move(64, 3, Register(0)),
        Move(64, 1, Immediate(20)),
        CallRegister(3),
        Exit(),
        LoadFunction(0, 7),
        Exit(),
        Move(64, 0, Register(1)),
        Alu(AluOp.ADD, 64, 0, Immediate(1)),
        Exit(),
    ]
    assert run_raw(instructions) == 21


def test_registers_survive_a_call_through_a_register() -> None:
    """Whichever way the call goes, the next block knows the same registers."""
    instructions: list[Instruction] = [
        Move(64, 6, Immediate(30)),
        LoadFunction(7, 7),
        CallRegister(7),
        Alu(AluOp.ADD, 64, 6, Register(0)),
        Move(64, 7, Immediate(5)),
        CallRegister(7),
        Jump(9),
        Move(64, 0, Immediate(4)),
        Exit(),
        Move(64, 0, Register(6)),
        Exit(),
    ]
    assert run_raw(instructions) == 34


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        (CallHelper(4711), "helper 4711, which does not exist here"),
        (CallKernel(9), "a call of kernel function 9"),
        (LoadMap(1, "stats"), "map stats, which was not given"),
    ],
)
def test_refusals_name_the_instruction(instruction: Instruction, message: str) -> None:
    with pytest.raises(NotCompilable, match=f"^instruction 2 of test: {message}$"):
        run_raw([LoadConstant(0, 0), instruction, Exit()])


def test_a_program_must_end() -> None:
    with pytest.raises(
        NotCompilable, match=r"^instruction 1 of test: the program goes on behind its last instruction$"
    ):
        run_raw([Jump(1), Move(64, 0, Immediate(0))])


@pytest.mark.parametrize(("given", "result"), [(0, 7), (1, 2)])
def test_registers_set_before_an_exit_are_nothing_to_the_block_behind_it(given: int, result: int) -> None:
    instructions = (
        Move(64, 6, Immediate(5)),
        Move(64, 0, Immediate(given)),
        Branch(Condition.EQ, 64, 0, Immediate(0), 6),
        Move(32, 0, Immediate(2)),
        Move(64, 6, Immediate(99)),
        Exit(),
        Alu(AluOp.ADD, 64, 6, Immediate(2)),
        Move(64, 0, Register(6)),
        Exit(),
    )
    assert run_raw(instructions) == result
