"""The control-flow graph of one function: basic blocks, and how control passes between them.

Blocks are found from the function's first instruction on, so code that nothing reaches has none. A call of another
function of the program, by whatever way, is the last instruction of its block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.ebpf.isa.instructions import Branch, CallFunction, Exit, Instruction, Jump, LoadFunction
from appliance.verifier.budget import Budget


@dataclass(frozen=True, slots=True)
class BasicBlock:
    """Instructions [start, end) that run one after another; `successors` are numbers of blocks.

    Of a conditional jump's two successors the fall-through comes first. A block without successors ends in `exit`, or
    runs off the end of the program.
    """

    start: int
    end: int
    successors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ControlFlowGraph:
    """Block 0 is the entry; the others follow in the order of their instructions."""

    blocks: tuple[BasicBlock, ...]

    def reverse_postorder(self) -> list[int]:
        """Every block before those that it leads to, loops apart."""
        seen = [False] * len(self.blocks)
        order: list[int] = []
        pending: list[tuple[int, int]] = [(0, 0)]
        seen[0] = True
        while pending:
            block, child = pending.pop()
            successors = self.blocks[block].successors
            if child == len(successors):
                order.append(block)
                continue
            pending.append((block, child + 1))
            following = successors[child]
            if not seen[following]:
                seen[following] = True
                pending.append((following, 0))
        order.reverse()
        return order


def calls_function(instruction: Instruction) -> bool:
    """Whether the instruction is a call of a function by name."""
    return type(instruction) is CallFunction


def outside_target(instructions: Sequence[Instruction]) -> int | None:
    """The index of the first jump or call that leaves the program; None if all stay inside."""
    count = len(instructions)
    for index, instruction in enumerate(instructions):
        if isinstance(instruction, Jump | Branch | CallFunction | LoadFunction) and not 0 <= instruction.target < count:
            return index
    return None


def build(
    instructions: Sequence[Instruction],
    budget: Budget,
    entry: int = 0,
    ends_block: Callable[[Instruction], bool] = calls_function,
) -> ControlFlowGraph:
    """The graph of what is reachable from `entry`, if all jumps stay inside the program.

    `ends_block` says behind which instructions a new block begins though control just goes on there.
    Raises BudgetSpent.
    """
    following, leaders = _walk(instructions, entry, ends_block)
    budget.visit(len(following))
    starts = [entry, *sorted(leaders - {entry})]
    numbers = {start: number for number, start in enumerate(starts)}
    blocks = []
    for start in starts:
        end = start + 1
        while end in following and end not in leaders and following[end - 1] == (end,):
            end += 1
        blocks.append(BasicBlock(start, end, tuple(numbers[index] for index in following[end - 1])))
    return ControlFlowGraph(tuple(blocks))


def _walk(
    instructions: Sequence[Instruction], entry: int, ends_block: Callable[[Instruction], bool]
) -> tuple[dict[int, tuple[int, ...]], set[int]]:
    """What control may pass to from each reachable instruction, and which of them start a block."""
    following: dict[int, tuple[int, ...]] = {}
    leaders, pending = {entry}, [entry]
    while pending:
        index = pending.pop()
        targets = following[index] = _following(instructions, index)
        if targets != (index + 1,) or ends_block(instructions[index]):
            leaders.update(targets)
        pending += [target for target in targets if target not in following]
    return following, leaders


def _following(instructions: Sequence[Instruction], index: int) -> tuple[int, ...]:
    """The instructions that control may pass to."""
    instruction = instructions[index]
    if type(instruction) is Jump:
        return (instruction.target,)
    if type(instruction) is Exit:
        return ()
    fall_through = (index + 1,) if index + 1 < len(instructions) else ()
    if type(instruction) is Branch:
        return (*fall_through, instruction.target)
    return fall_through
