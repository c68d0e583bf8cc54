"""The control-flow graph of the main program: basic blocks, and how control passes between them.

Blocks are found from instruction 0 on, so code that nothing reaches (subprograms behind the main one, too) has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.ebpf.instructions import Branch, Exit, Instruction, Jump


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
    """Blocks in the order of their instructions; block 0 is the entry."""

    blocks: tuple[BasicBlock, ...]

    def reverse_postorder(self) -> list[int]:
        """Every block before those that it leads to, loops apart."""
        seen = [False] * len(self.blocks)
        order: list[int] = []
        pending: list[tuple[int, int]] = [(0, 0)]
        seen[0] = True
        while pending:
            block, turn = pending.pop()
            successors = self.blocks[block].successors
            if turn == len(successors):
                order.append(block)
                continue
            pending.append((block, turn + 1))
            following = successors[turn]
            if not seen[following]:
                seen[following] = True
                pending.append((following, 0))
        order.reverse()
        return order


def outside_target(instructions: Sequence[Instruction]) -> int | None:
    """The index of the first jump that leaves the program; None if all stay inside."""
    count = len(instructions)
    for index, instruction in enumerate(instructions):
        if type(instruction) in (Jump, Branch) and not 0 <= instruction.target < count:  # type: ignore[union-attr]
            return index
    return None


def build(instructions: Sequence[Instruction]) -> ControlFlowGraph:
    """The graph of a program of at least one instruction, whose jumps all stay inside."""
    following = [_following(instructions, index) for index in range(len(instructions))]
    reachable, leaders = _walk(following)
    starts = sorted(leaders)
    numbers = {start: number for number, start in enumerate(starts)}
    blocks = []
    for start in starts:
        end = start + 1
        while end < len(instructions) and following[end - 1] == (end,) and end not in leaders:
            end += 1
        blocks.append(BasicBlock(start, end, tuple(numbers[index] for index in following[end - 1])))
    assert all(block.start in reachable for block in blocks)
    return ControlFlowGraph(tuple(blocks))


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


def _walk(following: Sequence[tuple[int, ...]]) -> tuple[set[int], set[int]]:
    """The instructions that control can reach, and those of them that start a block."""
    reachable, leaders, pending = {0}, {0}, [0]
    while pending:
        index = pending.pop()
        targets = following[index]
        if targets != (index + 1,):
            leaders.update(targets)
        for target in targets:
            if target not in reachable:
                reachable.add(target)
                pending.append(target)
    return reachable, leaders
