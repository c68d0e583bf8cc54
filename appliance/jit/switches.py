"""Switches, put together again. eBPF has no jump by a table, so a compiler takes a `switch` apart into a tree of
comparisons of one register with constants:

    switch (w6) {               if w6 s> 1 goto high
    case 0: …                   if w6 == 0 goto zero          zero ┐
    case 1: …          ──>      goto one                      one  ├  leaves
    case 2: …             high: if w6 == 2 goto two           two  │
    default: …                  goto other                    other┘
    }

Walking the tree once for every number between the least and the greatest constant tells where that number leads, which
is a table. Numbers outside of it walk the tree, as does everything if the table would be much larger than the tree.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from appliance.ebpf.interpreter.arithmetic import comparison
from appliance.ebpf.isa.instructions import Branch, Immediate, Instruction
from appliance.ebpf.isa.opcodes import Condition

FEWEST = 4  # comparisons that are worth a table
LARGEST = 256  # numbers in a table
PER_COMPARISON = 4  # numbers in a table for each comparison of the tree


@dataclass(frozen=True, slots=True)
class Switch:
    """Where numbers lead: `table` has the first instruction of each leaf. `nodes` are the tree's comparisons."""

    nodes: frozenset[int]
    table: Mapping[int, int]


def find_switch(instructions: Sequence[Instruction], root: int, blocks: Container[int]) -> Switch | None:
    """The switch that the comparison at `root` begins, if it is one. `blocks` are the instructions that can be jumped
    to: the verifier proved that nothing leads elsewhere."""
    nodes = _tree(instructions, root, blocks)
    if len(nodes) < FEWEST:
        return None
    constants = [branch.source.value for branch in nodes.values() if isinstance(branch.source, Immediate)]
    numbers = range(min(constants), max(constants) + 2)  # one more: a tree ends with `greater than the last but one`
    if len(numbers) > min(LARGEST, PER_COMPARISON * len(nodes)):
        return None
    leaves = ((number, _leaf(nodes, root, number)) for number in numbers)
    return Switch(frozenset(nodes), {number: leaf for number, leaf in leaves if leaf in blocks})


def _tree(instructions: Sequence[Instruction], root: int, blocks: Container[int]) -> dict[int, Branch]:
    """The comparisons that follow the one at `root` with nothing between, all of one register with constants."""
    first, found, pending = instructions[root], dict[int, Branch](), [root]
    while pending and isinstance(first, Branch):
        index = pending.pop()
        branch = instructions[index]
        if index in found or not (index == root or index in blocks) or not isinstance(branch, Branch):
            continue
        alike = (branch.dst, branch.width) == (first.dst, first.width) and isinstance(branch.source, Immediate)
        if alike and branch.condition is not Condition.SET:
            found[index] = branch
            pending += _successors(index, branch)
    return found


def _successors(index: int, branch: Branch) -> tuple[int, int]:
    return index + 1, branch.target


def _leaf(nodes: Mapping[int, Branch], root: int, number: int) -> int:
    """Walk the tree. It has no circle: nothing in it changes, so a verified program would not end."""
    index, steps = root, 0
    while index in nodes and steps <= len(nodes):
        branch = nodes[index]
        assert isinstance(branch.source, Immediate)
        width = (1 << branch.width) - 1
        holds = comparison(branch.condition, branch.width)(number & width, branch.source.value & width)
        index, steps = _successors(index, branch)[holds], steps + 1
    return index
