"""Numbers that are tied to each other: what is said of them holds, whatever was copied, cut, moved and compared."""

from __future__ import annotations

import random

import pytest

from appliance.ebpf.isa.instructions import Alu, Branch, Immediate, Instruction, Load, Move, Register, Store
from appliance.ebpf.isa.opcodes import AluOp, Condition
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import ProgramSpec
from appliance.verifier.checks.transfer import TRANSFERS
from appliance.verifier.domains import scalar
from appliance.verifier.domains.links import WHOLE, Cut, Form, Link, apply
from appliance.verifier.domains.scalar import LOW, Scalar
from appliance.verifier.exploration.branches import outcomes
from appliance.verifier.state.environment import Environment, FactsRecorder
from appliance.verifier.state.inclusion import includes
from appliance.verifier.state.join import join
from appliance.verifier.state.state import State
from hooks.contracts.xdp import XDP_LINUX
from tests.appliance.verifier import concrete

ALL = (1 << 64) - 1
REGISTERS = (0, 2, 3, 4, 5)
CELLS = (-8, -16)
EDGES = (0, 1, 5, 0x7F, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 63, ALL, ALL - 4)
STEPS = (1, 4, -1, -4, 0x7F, 0x7FFFFFFF, -0x80000000)


def environment() -> Environment:
    return Environment(ProgramSpec("links", XDP_LINUX.name, XDP_LINUX, ()), {}, {}, LINUX, FactsRecorder())


class Machine:
    """The same steps on numbers and on what is known of them."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)
        self.environment = environment()
        self.state = State.entry()
        self.numbers = {register: self.pick.choice((*EDGES, self.pick.getrandbits(64))) for register in REGISTERS}
        self.stack: dict[int, int] = {}
        for register in REGISTERS:
            self.state.set(register, scalar.UNKNOWN)
        for cell in CELLS:
            self._do(Store(8, 10, cell, Register(self.pick.choice(REGISTERS))))

    def step(self) -> None:
        dst, source = self.pick.choice(REGISTERS), self.pick.choice(REGISTERS)
        cell, size, width = self.pick.choice(CELLS), self.pick.choice((1, 2, 4, 8)), self.pick.choice((32, 64))
        kind = self.pick.randrange(9)
        if kind == 0:
            self._do(Move(width, dst, Register(source), self.pick.choice((0, 0, 8, 16)) if width == 32 else 0))
        elif kind == 1:
            self._do(Move(64, dst, Register(source), self.pick.choice((0, 8, 16, 32))))
        elif kind == 2:
            self._do(Alu(self.pick.choice((AluOp.ADD, AluOp.SUB)), width, dst, Immediate(self.pick.choice(STEPS))))
        elif kind == 3:
            self._do(Alu(AluOp.AND, width, dst, Immediate(self.pick.choice((0xFF, 0xFFFF, 0xF0, -1)))))
        elif kind == 4:
            up, down = self.pick.choice((32, 48, 56)), self.pick.choice((32, 48))
            if self.pick.random() < 0.7:
                self._do(Move(64, dst, Register(source)))
            self._do(Alu(AluOp.LSH, 64, dst, Immediate(up)))
            if self.pick.random() < 0.7:
                shift = self.pick.choice((AluOp.RSH, AluOp.ARSH))
                self._do(Alu(shift, 64, dst, Immediate(self.pick.choice((up, down)))))
        elif kind == 5:
            self._do(Store(size, 10, cell + self.pick.choice((0, 0, 8 - size)), Register(source)))
        elif kind == 6:
            self._do(Load(size, dst, 10, cell, signed=size < 8 and self.pick.random() < 0.5))
        else:
            near = self.numbers[self.pick.choice((dst, source))] + self.pick.choice((0, 0, 1, -1, 3))
            other = Immediate(concrete.signed(64, near % (1 << 64)))
            self._branch(Branch(self.pick.choice(list(Condition)), width, dst, other, 0))
        self.check()

    def _do(self, instruction: Instruction) -> None:
        TRANSFERS[type(instruction)](self.environment, self.state, 0, instruction)
        match instruction:
            case Move(width=width, dst=dst, source=Register(source), sign_bits=bits):
                number = self.numbers[source]
                number = concrete.signed(bits, number % (1 << bits)) if bits else number
                self.numbers[dst] = number % (1 << width)
            case Alu(op=op, width=width, dst=dst, source=Immediate(value)):
                self.numbers[dst] = concrete.operate(op, width, self.numbers[dst], value)
            case Store(size=size, offset=offset, source=Register(source)):
                for byte in range(size):
                    self.stack[offset + byte] = self.numbers[source] >> 8 * byte & 0xFF
            case Load(size=size, dst=dst, offset=offset, signed=signed):
                number = self._at(offset, size)
                self.numbers[dst] = (concrete.signed(8 * size, number) if signed else number) & ALL

    def _branch(self, branch: Branch) -> None:
        assert isinstance(branch.source, Immediate)
        taken = concrete.compare(branch.condition, branch.width, self.numbers[branch.dst], branch.source.value)
        outcome = outcomes(self.environment, self.state, branch)[taken]
        assert outcome is not None, "this path is taken"
        self.state = outcome

    def _at(self, offset: int, size: int) -> int:
        return sum(self.stack[offset + byte] << 8 * byte for byte in range(size))

    def _places(self) -> dict[int, int]:
        cells = {offset: self._at(offset, cell.size) for offset, cell in self.state.stack.items()}
        return self.numbers | cells

    def check(self) -> None:
        places = self._places()
        for place, number in places.items():
            assert self.state.number(place).contains(number)
        held = [(link, places[place]) for place, link in self.state.links.items()]
        for link, number in held:
            for other, another in held:
                if link.name == other.name:
                    bits = min(link.cut.bits, other.cut.bits)
                    one, two = (low(each, value) - each.distance for each, value in ((link, number), (other, another)))
                    assert (one - two) % (1 << bits) == 0, (link, other)


def low(link: Link, number: int) -> int:
    return number >> (64 - link.cut.bits) if link.cut.form is Form.UP else number


@pytest.mark.parametrize("seed", range(400))
def test_what_is_known_holds(seed: int) -> None:
    machine = Machine(seed)
    for _ in range(40):
        machine.step()


@pytest.mark.parametrize("seed", range(100))
def test_what_is_known_of_two_holds_of_both(seed: int) -> None:
    one, other = Machine(seed), Machine(seed + 1000)
    for machine in (one, other):
        for _ in range(12):
            machine.step()
    names = iter(range(10**6, 2 * 10**6))
    joined = join(one.state, other.state, names.__next__)
    assert includes(joined, one.state)
    assert includes(joined, other.state)
    for machine in (one, other):
        machine.state = joined.copy()
        machine.environment.last_name = 3 * 10**6
        machine.check()
        for _ in range(12):
            machine.step()


@pytest.mark.parametrize("form", [Form.ZERO, Form.SIGN])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_a_cut_is_exact(bits: int, form: Form) -> None:
    for number in EDGES:
        kept = number % (1 << bits)
        assert apply(Cut(bits, form), scalar.constant(number)) == scalar.constant(
            concrete.signed(bits, kept) if form is Form.SIGN else kept
        )


def tied(distance: int, cut: Cut) -> State:
    """r3 is cut from r2 plus the distance; both are any number of 4 bytes."""
    state = State.entry()
    for register in (2, 3):
        state.set(register, scalar.unknown(4))
    state.link(2, Link(1, 0, WHOLE))
    state.link(3, Link(1, distance, cut))
    return state


def test_distances_and_cuts_are_told_apart() -> None:
    made = [tied(distance, cut) for distance in (0, 4) for cut in (WHOLE, Cut(32, Form.ZERO), Cut(32, Form.SIGN))]
    included = {(n, m) for n, one in enumerate(made) for m, other in enumerate(made) if includes(one, other)}
    # Of numbers of 4 bytes, all bits and the low four bytes are the same, so the weaker includes the stronger.
    assert included == {(n, n) for n in range(6)} | {(1, 0), (4, 3)}


def known(*steps: Instruction, register: int) -> Scalar:
    """Of an unknown number in r2, after the steps, of which the branches are not taken."""
    world, state = environment(), State.entry()
    state.set(2, scalar.UNKNOWN)
    for step in steps:
        if isinstance(step, Branch):
            outcome = outcomes(world, state, step)[0]
            assert outcome is not None
            state = outcome
        else:
            TRANSFERS[type(step)](world, state, 0, step)
    return state.number(register)


UP, DOWN = Alu(AluOp.LSH, 64, 3, Immediate(32)), Alu(AluOp.RSH, 64, 3, Immediate(32))
COPY = Move(64, 3, Register(2))
ABOVE_5 = Branch(Condition.GT, 64, 3, Immediate(5), 0)


def test_a_zero_extended_copy_bounds_the_low_half() -> None:
    number = known(COPY, UP, DOWN, ABOVE_5, register=2)
    assert (number.low.umin, number.low.umax) == (0, 5)
    assert number.bits.mask == ALL & ~LOW | 7


def test_another_copy_is_bounded_as_well() -> None:
    again = [Move(64, 4, Register(2)), *(step.__class__(step.op, 64, 4, step.source) for step in (UP, DOWN))]
    assert known(COPY, UP, DOWN, ABOVE_5, *again, register=4) == scalar.between(0, 5)


def test_a_sign_extended_copy_bounds_the_low_half() -> None:
    down = Alu(AluOp.ARSH, 64, 3, Immediate(32))
    number = known(COPY, UP, down, Branch(Condition.SGT, 64, 3, Immediate(5), 0), register=2)
    assert (number.low.smin, number.low.smax) == (-(1 << 31), 5)


def test_a_distance_moves_the_bounds() -> None:
    plus = Alu(AluOp.ADD, 64, 3, Immediate(4))
    number = known(COPY, plus, Branch(Condition.GT, 64, 3, Immediate(9), 0), register=2)
    assert number == scalar.join(scalar.between(-4, -1), scalar.between(0, 5))
    assert known(COPY, plus, Branch(Condition.SGT, 64, 3, Immediate(9), 0), register=2).whole.smax > 5, "it may wrap"


def test_a_part_that_was_spilled_bounds_the_whole() -> None:
    steps = (Store(8, 10, -8, Register(2)), Load(4, 3, 10, -8), ABOVE_5, Load(8, 4, 10, -8))
    number = known(*steps, register=4)
    assert (number.low.umin, number.low.umax) == (0, 5)


def test_what_can_not_be_is_never_reached() -> None:
    with pytest.raises(AssertionError):
        known(COPY, UP, DOWN, ABOVE_5, Branch(Condition.LE, 32, 2, Immediate(5), 0), register=2)
