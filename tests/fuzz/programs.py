"""Random programs that are valid by construction: every engine, and Linux's verifier, takes each of them.

    r0 … r7   numbers, all written before the first statement
    r8        the counter of the one loop that may be open
    r9        the memory (in the first function only)
    r10       32 bytes of stack, all written before the first statement

A program is statements in sequence. Branches go forward, a loop counts down, and a function calls only functions behind
it, so that everything ends. A called function gets a pointer to two slots of its caller's stack, in r5. Nothing depends
on an address, and what is returned is a verdict. What is to be seen afterwards is in the memory:

    0                  64                  128             160
    +------------------+-------------------+---------------+
    | for the program  | r0 … r7: at first | the stack, at |
    | to use           | and at the end    | the end       |
    +------------------+-------------------+---------------+
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from appliance.ebpf.isa.instructions import (
    FRAME_POINTER,
    Alu,
    Atomic,
    Branch,
    ByteSwap,
    CallFunction,
    Exit,
    Immediate,
    Instruction,
    Jump,
    Load,
    LoadConstant,
    Move,
    Negate,
    Operand,
    Register,
    Store,
    Width,
)
from appliance.ebpf.isa.opcodes import AluOp, AtomicOp, Condition

NUMBERS = range(8)
STACK = range(-32, 0, 8)
WORK_SIZE = 64
MEMORY_SIZE = WORK_SIZE + 8 * len(NUMBERS) + 8 * len(STACK)
COUNTER, MEMORY = 8, 9
CALLERS, SLOT = 5, 8
MOST_FUNCTIONS = 3
UNKNOWN = -1

_EDGES = (0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF)
_WIDE_EDGES = (*_EDGES, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - (1 << 31))
_DIVISIONS = (AluOp.DIV, AluOp.SDIV, AluOp.MOD, AluOp.SMOD)
_SHIFTS = (AluOp.LSH, AluOp.RSH, AluOp.ARSH)
_WIDTHS: tuple[Width, ...] = (32, 64)
_EXTENSIONS: tuple[tuple[Width, int], ...] = ((32, 8), (32, 16), (64, 8), (64, 16), (64, 32))


@dataclass(frozen=True, slots=True)
class RandomProgram:
    """`instructions` expect r1 to point to `memory`, as raw bytecode does."""

    seed: int
    instructions: tuple[Instruction, ...]
    memory: bytes


def random_program(seed: int) -> RandomProgram:
    """The program of that seed: always the same one."""
    pick = random.Random(seed)
    return RandomProgram(seed, _Writer(pick).program(), pick.randbytes(MEMORY_SIZE))


def on_a_frame(instructions: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    """The same program for an XDP hook: r1 points to the packet, of which there are at least MEMORY_SIZE bytes."""
    prologue: list[Instruction] = [
        Load(4, 2, 1, 4),
        Load(4, 1, 1, 0),
        Move(64, 3, Register(1)),
        Alu(AluOp.ADD, 64, 3, Immediate(MEMORY_SIZE)),
        Branch(Condition.LE, 64, 3, Register(2), 7),
        Move(64, 0, Immediate(0)),
        Exit(),
    ]
    shifted = (
        replace(each, target=each.target + len(prologue)) if isinstance(each, Jump | Branch | CallFunction) else each
        for each in instructions
    )
    return (*prologue, *shifted)


class _Writer:
    """One program being written."""

    def __init__(self, pick: random.Random) -> None:
        self._pick = pick
        self._code: list[Instruction] = []
        self._calls: list[tuple[int, int]] = []  # (instruction, number of the function)
        self._functions = 0  # declared so far; the first one, which nobody calls, is number 0
        self._current = 0
        self._depth = 0
        self._looping = False

    def program(self) -> tuple[Instruction, ...]:
        starts = [0]
        self._first_function()
        while self._current < self._functions:
            self._current += 1
            starts.append(len(self._code))
            self._further_function()
        for index, number in self._calls:
            self._code[index] = CallFunction(starts[number])
        return tuple(self._code)

    def _first_function(self) -> None:
        self._code.append(Move(64, MEMORY, Register(1)))
        for register in NUMBERS:
            self._code.append(Load(8, register, MEMORY, WORK_SIZE + register * 8))
        self._fill_stack()
        self._statements(self._pick.randint(4, 14))
        for register in NUMBERS:
            self._code.append(Store(8, MEMORY, WORK_SIZE + register * 8, Register(register)))
        for offset in STACK:
            self._code.append(Load(8, 1, FRAME_POINTER, offset))
            self._code.append(Store(8, MEMORY, MEMORY_SIZE + offset, Register(1)))
        self._code.append(Alu(AluOp.AND, 64, 0, Immediate(3)))
        self._code.append(Exit())

    def _further_function(self) -> None:
        for register in (0, 6, 7):
            self._code.append(LoadConstant(register, self._constant()))
        self._use_callers_slots()
        self._fill_stack()
        self._statements(self._pick.randint(2, 6))
        self._code.append(Exit())

    def _use_callers_slots(self) -> None:
        for _ in range(self._pick.randint(1, 3)):
            size = self._pick.choice((1, 2, 4, 8))
            offset = self._pick.randrange(0, 2 * SLOT, size)
            if self._pick.random() < 0.5:
                self._code.append(Load(size, self._pick.choice((0, 6, 7)), CALLERS, offset))
            else:
                self._code.append(Store(size, CALLERS, offset, Register(self._pick.choice((0, 1, 6, 7)))))
        self._code.append(Move(64, CALLERS, Register(0)))

    def _fill_stack(self) -> None:
        for offset in STACK:
            self._code.append(Store(8, FRAME_POINTER, offset, self._operand()))

    def _statements(self, count: int) -> None:
        for _ in range(count):
            self._pick.choices(_STATEMENTS, _WEIGHTS)[0](self)

    def _number(self) -> int:
        return self._pick.choice(NUMBERS)

    def _immediate(self) -> int:
        if self._pick.random() < 0.5:
            return self._pick.choice((1, -1)) * self._pick.choice(_EDGES)
        return self._pick.randint(-(1 << 31), (1 << 31) - 1)

    def _constant(self) -> int:
        return self._pick.choice(_WIDE_EDGES) if self._pick.random() < 0.5 else self._pick.getrandbits(64)

    def _operand(self) -> Operand:
        if self._pick.random() < 0.5 and self._current == 0:
            return Register(self._number())
        return Immediate(self._immediate())

    def _place(self, size: int) -> tuple[int, int]:
        """(register, offset) of an aligned place in the stack, or in the memory."""
        if self._current == 0 and self._pick.random() < 0.3:
            return MEMORY, self._pick.randrange(0, WORK_SIZE, size)
        return FRAME_POINTER, self._pick.randrange(STACK.start, 0, size)

    def alu(self) -> None:
        op, width = self._pick.choice(tuple(AluOp)), self._pick.choice(_WIDTHS)
        source: Operand = Register(self._number())
        if self._pick.random() < 0.5:  # Linux refuses constants that shift everything out, or divide by zero
            value = self._immediate()
            source = Immediate(value % width if op in _SHIFTS else value or 1 if op in _DIVISIONS else value)
        self._code.append(Alu(op, width, self._number(), source))

    def move(self) -> None:
        source: Operand = Register(self._number()) if self._pick.random() < 0.5 else Immediate(self._immediate())
        self._code.append(Move(self._pick.choice(_WIDTHS), self._number(), source))

    def extend(self) -> None:
        width, bits = self._pick.choice(_EXTENSIONS)
        self._code.append(Move(width, self._number(), Register(self._number()), bits))

    def negate(self) -> None:
        self._code.append(Negate(self._pick.choice(_WIDTHS), self._number()))

    def swap(self) -> None:
        order = self._pick.choice(("le", "be", "swap"))
        self._code.append(ByteSwap(order, self._pick.choice((16, 32, 64)), self._number()))  # type: ignore[arg-type]

    def constant(self) -> None:
        self._code.append(LoadConstant(self._number(), self._constant()))

    def load(self) -> None:
        size = self._pick.choice((1, 2, 4, 8))
        signed = size < 8 and self._pick.random() < 0.5
        self._code.append(Load(size, self._number(), *self._place(size), signed))

    def ordered(self) -> None:
        """On the stack: Linux allows none on packets."""
        size, number = self._pick.choice((1, 2, 4, 8)), self._number()
        offset = self._pick.randrange(STACK.start, 0, size)
        if self._pick.random() < 0.5:
            self._code.append(Load(size, number, FRAME_POINTER, offset, ordered=True))
        else:
            self._code.append(Store(size, FRAME_POINTER, offset, Register(number), ordered=True))

    def store(self) -> None:
        size = self._pick.choice((1, 2, 4, 8))
        source: Operand = Register(self._number()) if self._pick.random() < 0.7 else Immediate(self._immediate())
        self._code.append(Store(size, *self._place(size), source))

    def atomic(self) -> None:
        """On the stack: Linux allows none on packets."""
        op, size = self._pick.choice(tuple(AtomicOp)), self._pick.choice((4, 8))
        offset = self._pick.randrange(STACK.start, 0, size)
        fetch = op in (AtomicOp.XCHG, AtomicOp.CMPXCHG) or self._pick.random() < 0.5
        if fetch:
            # Linux 6.18 takes paths for equal that differ in what a fetch found: it does not follow the number back to
            # the stack. So the stack holds one here that its verifier does not know.
            self._code.append(Store(1, FRAME_POINTER, offset, Immediate(self._pick.randint(1, 127))))
        self._code.append(Atomic(op, size, FRAME_POINTER, offset, self._number(), fetch))
        if op is AtomicOp.CMPXCHG and size == 4:
            # Linux 6.18 clears the upper half of r0 only if its verifier has seen all of r0 being used, and where it
            # skips a path that looks like one it knows, it may not see it: so r0 is used at once.
            self._code.append(Store(8, FRAME_POINTER, self._pick.choice(STACK), Register(0)))

    def indexed(self) -> None:
        """A load from the stack, or a store to it, whose place a number chooses: any of a few side by side."""
        size = self._pick.choice((1, 2, 4, 8))
        mask = self._pick.choice((8, 16, 24, 31)) & -size
        start = self._pick.randrange(STACK.start, -mask - size + 1, size)
        address, value = self._pick.sample(NUMBERS, 2)
        self._code.append(Move(64, address, Register(self._number())))
        self._code.append(Alu(AluOp.AND, 64, address, Immediate(mask)))
        self._code.append(Alu(AluOp.ADD, 64, address, Register(FRAME_POINTER)))
        if self._pick.random() < 0.5:
            self._code.append(Load(size, address, address, start))
        else:
            self._code.append(Store(size, address, start, Register(value)))
            self._code.append(LoadConstant(address, self._constant()))

    def branch(self) -> None:
        """if … { statements } else { statements }, the second part often empty."""
        if self._depth == 2:
            return
        self._depth += 1
        asked = len(self._code)
        source: Operand = Register(self._number()) if self._pick.random() < 0.5 else Immediate(self._immediate())
        question = Branch(
            self._pick.choice(tuple(Condition)), self._pick.choice(_WIDTHS), self._number(), source, UNKNOWN
        )
        self._code.append(question)
        self._statements(self._pick.randint(1, 3))
        if self._pick.random() < 0.4:
            left = len(self._code)
            self._code.append(Jump(UNKNOWN))
            self._code[asked] = replace(question, target=len(self._code))
            self._statements(self._pick.randint(1, 3))
            self._code[left] = Jump(len(self._code), long=self._pick.random() < 0.5)
        else:
            self._code[asked] = replace(question, target=len(self._code))
        self._code.append(Move(64, self._number(), Register(self._number())))  # something to jump to
        self._depth -= 1

    def loop(self) -> None:
        """Statements, two to four times."""
        if self._looping:
            return
        self._looping = True
        self._code.append(Move(64, COUNTER, Immediate(self._pick.randint(2, 4))))
        start = len(self._code)
        self._statements(self._pick.randint(1, 4))
        self._code.append(Alu(AluOp.SUB, 64, COUNTER, Immediate(1)))
        self._code.append(Branch(Condition.NE, self._pick.choice(_WIDTHS), COUNTER, Immediate(0), start))
        self._looping = False

    def call(self) -> None:
        """A function behind this one, new or known; r1 to r5 are lost."""
        further = list(range(self._current + 1, min(self._functions + 2, MOST_FUNCTIONS + 1)))
        if not further:
            return
        number = self._pick.choice(further)
        self._functions = max(self._functions, number)
        self._code.append(Move(64, CALLERS, Register(FRAME_POINTER)))
        self._code.append(Alu(AluOp.ADD, 64, CALLERS, Immediate(self._pick.choice(STACK[:-1]))))
        self._calls.append((len(self._code), number))
        self._code.append(CallFunction(UNKNOWN))
        for register in range(1, 6):
            self._code.append(Move(64, register, Register(self._pick.choice((0, 6, 7)))))


_STATEMENTS: tuple[Callable[[_Writer], None], ...] = (
    _Writer.alu,
    _Writer.move,
    _Writer.extend,
    _Writer.negate,
    _Writer.swap,
    _Writer.constant,
    _Writer.load,
    _Writer.store,
    _Writer.atomic,
    _Writer.ordered,
    _Writer.indexed,
    _Writer.branch,
    _Writer.loop,
    _Writer.call,
)
_WEIGHTS = (30, 5, 6, 3, 6, 4, 8, 8, 8, 3, 8, 10, 3, 4)
