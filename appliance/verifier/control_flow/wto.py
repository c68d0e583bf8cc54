"""The order in which blocks are explored: a weak topological order (Bourdoncle, 1993).

Blocks stand in a row such that control goes to the right, except when it jumps back to the head of a loop that it is
in. Loops nest, and are contiguous:

    0   1   ( 2   3   ( 4   5 )   6 )   7             2 and 4 are heads

A *time* is a place in that row together with the iteration of each loop around it: (position, iteration, position,
iteration, …, position), one pair per loop from the outside in. Control only ever goes to a later time, so if states are
explored in the order of their times, everything that can arrive at a time has arrived when its turn comes; no state is
ever explored twice, and the exploration ends exactly if every loop does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from appliance.verifier.budget import Budget
from appliance.verifier.control_flow.cfg import ControlFlowGraph

Time: TypeAlias = tuple[int, ...]


@dataclass(slots=True)
class Order:
    """`places` of a block: its position on each level. `loops` of a block: heads of the loops around it.
    `bodies` of a head: the blocks of its loop, itself the first, each behind those that lead to it but for inner
    loops. Any thread, once it is made."""

    places: dict[int, tuple[int, ...]] = field(default_factory=dict)
    loops: dict[int, tuple[int, ...]] = field(default_factory=dict)
    bodies: dict[int, list[int]] = field(default_factory=dict)

    def start(self, block: int) -> Time:
        """The time of the first arrival at a block from outside of every loop."""
        return self._enter((), block, 0)

    def advance(self, time: Time, source: int, target: int) -> Time:
        """The time at which control that leaves `source` at `time` arrives at `target`."""
        around_source, around_target = self.loops[source], self.loops[target]
        if not around_target:
            return self.places[target]
        shared = 0
        for one, other in zip(around_source, around_target, strict=False):
            if one != other:
                break
            shared += 1
        if shared and shared == len(around_target) and around_target[-1] == target:
            iteration = time[2 * shared - 1] + 1  # back to the head: the loop's next iteration begins
            return (*time[: 2 * shared - 1], iteration, self.places[target][-1])
        return self._enter(time[: 2 * shared], target, shared)

    def _enter(self, time: Time, block: int, level: int) -> Time:
        places = self.places[block]
        for position in places[level:-1]:
            time = (*time, position, 0)
        return (*time, places[-1])


def weak_topological_order(graph: ControlFlowGraph, budget: Budget) -> Order:
    """The order of a graph's blocks. A loop's head is the first of its blocks in reverse postorder. Takes a
    visit for each block, and one more for each loop that it is in: raises BudgetSpent where loops stand so deep in each
    other that these are too many."""
    order = Order()
    row = graph.reverse_postorder()
    ranks = {block: rank for rank, block in enumerate(row)}
    work: list[tuple[list[int], int, tuple[int, ...], tuple[int, ...]]] = [(row, 0, (), ())]
    while work:
        blocks, first, places, loops = work.pop()
        budget.visit(len(blocks))
        for position, component in enumerate(_components(graph, blocks), first):
            head = min(component, key=ranks.__getitem__)
            if len(component) == 1 and head not in graph.blocks[head].successors:
                order.places[head] = (*places, position)
                order.loops[head] = loops
                continue
            order.places[head] = (*places, position, 0)
            order.loops[head] = (*loops, head)
            rest = sorted((block for block in component if block != head), key=ranks.__getitem__)
            order.bodies[head] = [head, *rest]
            work.append((rest, 1, (*places, position), (*loops, head)))
    return order


def _components(graph: ControlFlowGraph, blocks: Iterable[int]) -> list[list[int]]:
    """Strongly connected components among `blocks`, in topological order (Tarjan, 1972, without recursion)."""
    inside = set(blocks)
    index: dict[int, int] = {}
    lowest: dict[int, int] = {}
    held: list[int] = []
    on_hold: set[int] = set()
    components: list[list[int]] = []
    for root in blocks:
        if root in index:
            continue
        pending = [(root, 0)]
        while pending:
            block, child = pending.pop()
            if child == 0:
                index[block] = lowest[block] = len(index)
                held.append(block)
                on_hold.add(block)
            successors = graph.blocks[block].successors
            descended = False
            while child < len(successors):
                following = successors[child]
                child += 1
                if following not in inside:
                    continue
                if following not in index:
                    pending += [(block, child), (following, 0)]
                    descended = True
                    break
                if following in on_hold:
                    lowest[block] = min(lowest[block], index[following])
            if descended:
                continue
            if lowest[block] == index[block]:
                component = [held.pop()]
                while component[-1] != block:
                    component.append(held.pop())
                on_hold.difference_update(component)
                components.append(component)
            if pending:
                parent = pending[-1][0]
                lowest[parent] = min(lowest[parent], lowest[block])
    components.reverse()
    return components
