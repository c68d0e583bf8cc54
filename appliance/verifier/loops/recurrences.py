"""What one iteration of a loop adds to registers and stack cells, whatever is in them.

    head:   r6 = n                       the iteration begins
            r6 += 1                      r6 is  r6 at the head + 1
            *(u64 *)(r10 - 8) = r6       the cell at -8 is  r6 at the head + 1
            if … goto other              both ways are followed, and joined: + 1, + 1 to 3, or nothing known
            goto head                    at the end of the iteration r6 has grown by 1

Instructions are followed from the head through the loop's body, in the order of its blocks (`wto`), as sums of what
was in a place at the head and a constant; what an inner loop writes is not followed. Which bytes of the stack an
instruction writes is not guessed, but looked up in what was noted of it (`environment`): by an exploration of all the
states that an iteration can begin in.

The sums are those of the machine: of 64 bits, or of 32 bits and zero-extended. So they hold for pointers as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from appliance.ebpf.isa.instructions import (
    FRAME_POINTER,
    Alu,
    Atomic,
    Branch,
    ByteSwap,
    CallHelper,
    CallKernel,
    Immediate,
    Instruction,
    Load,
    Move,
    Negate,
    Register,
    Store,
)
from appliance.verifier.budget import Budget
from appliance.verifier.checks.calls.effects import written_arguments
from appliance.verifier.control_flow.calls import runs_other_code
from appliance.verifier.control_flow.cfg import BasicBlock, ControlFlowGraph
from appliance.verifier.control_flow.liveness import register_effects, stack_bytes
from appliance.verifier.control_flow.wto import Order
from appliance.verifier.loops.sums import PLAIN, Sum, Sums, computed, cut
from appliance.verifier.program import Region
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.partitions import Part, Place


class Comparison(NamedTuple):
    """A branch of the loop compares that sum with a constant, or with what was in another place at the head."""

    sum: Sum
    bound: int | Place


class Loop(NamedTuple):
    """The blocks of one loop, the head first, each behind those that lead to it."""

    graph: ControlFlowGraph
    order: Order
    head: int
    blocks: tuple[int, ...]

    @property
    def length(self) -> int:
        """How many instructions it has."""
        return sum(block.end - block.start for block in map(self.graph.blocks.__getitem__, self.blocks))


def loop_of(graph: ControlFlowGraph, order: Order, head: int) -> Loop:
    """The loop of which that block is the head."""
    return Loop(graph, order, head, tuple(sorted(order.bodies[head], key=order.places.__getitem__)))


@dataclass(frozen=True, slots=True)
class Recurrences:
    """`increments`: the places that are the same place at the head plus something, at the end of every iteration, if
    that is not nothing. `comparisons`: of sums on the path."""

    increments: dict[Place, Sum]
    comparisons: tuple[Comparison, ...]


def recurrences_of(environment: Environment, function: int, loop: Loop, budget: Budget) -> Recurrences:
    """What an iteration of a loop adds. `function` is the first instruction of the one that it is in; whatever an
    iteration can do must have been noted. Raises BudgetSpent."""
    return _Iteration(environment, function, loop, budget).recurrences()


_Edges: TypeAlias = dict[int, list[Sums]]


class _Iteration:
    def __init__(self, environment: Environment, function: int, loop: Loop, budget: Budget) -> None:
        self._environment = environment
        self._function = function
        self._loop = loop
        self._budget = budget
        self._comparisons: list[Comparison] = []

    def recurrences(self) -> Recurrences:
        loop = self._loop
        self._budget.visit(loop.length)
        inside, arriving, ends = set(loop.blocks), _Edges(), list[Sums]()
        arriving[loop.head] = [Sums()]
        for number in loop.blocks:
            if number not in arriving:
                continue  # nothing that was noted leads there
            sums = arriving[number][0].copy()
            for other in arriving[number][1:]:
                sums = sums.joined(other)
            if number != loop.head and loop.order.loops[number][-1] == number:
                self._forget_inner(sums, number)
            block = loop.graph.blocks[number]
            if not self._is_reached(block):
                continue
            for index in range(block.start, block.end):
                self._step(sums, index, self._environment.spec.instructions[index])
            for target in block.successors:
                if target == loop.head:
                    ends.append(sums)
                elif target in inside:
                    arriving.setdefault(target, []).append(sums)
        return Recurrences(_increments(ends), tuple(self._comparisons))

    def _is_reached(self, block: BasicBlock) -> bool:
        return block.start in self._environment.facts.reachable

    def _forget_inner(self, sums: Sums, head: int) -> None:
        """An inner loop begins: what any of its iterations writes is not known."""
        written = Sums()
        inner = loop_of(self._loop.graph, self._loop.order, head)
        self._budget.visit(inner.length)
        for number in inner.blocks:
            block = self._loop.graph.blocks[number]
            for index in range(block.start, block.end) if self._is_reached(block) else ():
                self._forget(written, index, self._environment.spec.instructions[index])
        for register, sum_ in enumerate(written.registers):
            if sum_ is None:
                sums.registers[register] = None
        for place in [place for place in sums.cells if written.written & stack_bytes(place.at, place.size)]:
            del sums.cells[place]
        sums.written |= written.written

    def _step(self, sums: Sums, index: int, instruction: Instruction) -> None:
        """What an instruction does to the sums."""
        match instruction:
            case Branch(dst=dst, source=source):
                self._compare(sums, dst, source)
                return
            case Move(dst=dst, source=Register(number), sign_bits=0):
                sums.registers[dst] = cut(sums.register(number), instruction.width)
                return
            case Alu(dst=dst, source=Immediate(value)):
                sums.registers[dst] = computed(sums.registers[dst], instruction, value)
                return
            case Load(dst=dst, size=size) if size in (4, 8) and not instruction.signed:
                at = self._offset(index)
                sums.registers[dst] = sums.at(Place(Part.STACK, at, size)) if at is not None else None
                return
            case Store(source=Register(number), size=size) if size in (4, 8):
                kept, at = cut(sums.register(number), 8 * size), self._offset(index)
                self._forget(sums, index, instruction)
                if kept is not None and at is not None:
                    sums.cells[Place(Part.STACK, at, size)] = kept
            case _:
                self._forget(sums, index, instruction)

    def _forget(self, sums: Sums, index: int, instruction: Instruction) -> None:
        """What an instruction may write is known no more."""
        for register in _written(instruction, self._environment):
            sums.registers[register] = None
        for low, high in self._extents(index, instruction):
            sums.write(low, high)

    def _extents(self, index: int, instruction: Instruction) -> Iterator[tuple[int, int]]:
        """The bytes of the function's own frame that the instruction may write."""
        noted = self._environment.facts.stack
        if runs_other_code(self._environment.platform.helpers, instruction):
            yield from noted.foreign(self._function)
        if isinstance(instruction, Store | Atomic):
            yield from noted.touched(index, instruction.base, self._function)
        elif isinstance(instruction, CallHelper):
            for register in written_arguments(self._environment, instruction):
                yield from noted.touched(index, register, self._function)

    def _offset(self, index: int) -> int | None:
        """The place in the function's own frame that the instruction accesses, always."""
        access = self._environment.facts.accessed(index)
        return access.offset if access is not None and access.region is Region.STACK else None

    def _compare(self, sums: Sums, dst: int, source: Register | Immediate) -> None:
        one = sums.register(dst)
        if isinstance(source, Immediate):
            if one is not None:
                self._comparisons.append(Comparison(one, source.value))
            return
        other = sums.register(source.number)
        for sum_, bound in ((one, other), (other, one)):
            if sum_ is not None and bound is not None and bound.low == bound.high == 0:
                self._comparisons.append(Comparison(sum_, bound.place))


def _increments(ends: list[Sums]) -> dict[Place, Sum]:
    """What is the same place plus something at every end of an iteration."""
    if not ends:
        return {}
    end = ends[0]
    for other in ends[1:]:
        end = end.joined(other)
    places = [Place(Part.REGISTER, register) for register in range(FRAME_POINTER)] + list(end.cells)
    sums = ((place, end.at(place)) for place in places)
    return {
        place: sum_
        for place, sum_ in sums
        if sum_ is not None and sum_.place == place and (sum_.low or sum_.high) and sum_.width in PLAIN
    }


def _written(instruction: Instruction, environment: Environment) -> list[int]:
    """The registers that an instruction may write."""
    if isinstance(instruction, CallKernel):
        return list(range(FRAME_POINTER))
    if isinstance(instruction, Alu | Negate | ByteSwap):
        return [instruction.dst]
    if isinstance(instruction, Atomic):
        return [0, instruction.src] if instruction.src < FRAME_POINTER else [0]
    written = register_effects(instruction, environment.platform.helpers)[1]
    return [register for register in range(FRAME_POINTER) if written >> register & 1]
