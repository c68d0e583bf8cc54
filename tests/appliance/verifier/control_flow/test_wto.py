"""Graphs, the order of their blocks, and the times at which control arrives."""

from __future__ import annotations

import random

from appliance.verifier.budget import Budget
from appliance.verifier.control_flow import cfg, wto
from appliance.verifier.control_flow.cfg import BasicBlock, ControlFlowGraph
from tests.appliance.verifier.support import program

LOOP_IN_A_LOOP = """
    r2 = 0
    outer:
    r3 = 0
    inner:
    r3 += 1
    if r3 < 10 goto inner
    r2 += 1
    if r2 < 10 goto outer
    r0 = 2
    exit
    r0 = 7
    exit
"""


def graph_of(successors: list[list[int]]) -> ControlFlowGraph:
    return ControlFlowGraph(tuple(BasicBlock(n, n + 1, tuple(after)) for n, after in enumerate(successors)))


def test_blocks_of_what_is_reachable() -> None:
    graph = cfg.build(program(LOOP_IN_A_LOOP).instructions, Budget())
    assert [(block.start, block.end, block.successors) for block in graph.blocks] == [
        (0, 1, (1,)),
        (1, 2, (2,)),
        (2, 4, (3, 2)),
        (4, 6, (4, 1)),
        (6, 8, ()),
    ]


def test_loops_nest_in_the_order() -> None:
    row = wto.weak_topological_order(cfg.build(program(LOOP_IN_A_LOOP).instructions, Budget()), Budget())
    assert row.loops == {0: (), 1: (1,), 2: (1, 2), 3: (1,), 4: ()}
    start = row.start(0)
    outer = row.advance(start, 0, 1)
    inner = row.advance(outer, 1, 2)
    again = row.advance(inner, 2, 2)
    behind = row.advance(again, 2, 3)
    outer_again = row.advance(behind, 3, 1)
    inner_again = row.advance(outer_again, 1, 2)
    end = row.advance(behind, 3, 4)
    assert (outer[1], again[1], again[3], outer_again[1], inner_again[3]) == (0, 0, 1, 1, 0)
    assert start < outer < inner < again < behind < outer_again < inner_again < end


def test_control_never_goes_to_an_earlier_time() -> None:
    """On random graphs, irreducible ones among them, along random walks."""
    chance = random.Random(7)
    for _ in range(300):
        count = chance.randint(1, 12)
        graph = graph_of([[chance.randrange(count) for _ in range(chance.randint(0, 2))] for _ in range(count)])
        row = wto.weak_topological_order(graph, Budget())
        block, time = 0, row.start(0)
        seen = {time: 0}
        for _ in range(60):
            after = graph.blocks[block].successors
            if not after:
                break
            following = chance.choice(after)
            later = row.advance(time, block, following)
            assert later > time
            assert seen.setdefault(later, following) == following
            block, time = following, later


def test_a_long_chain_needs_no_recursion() -> None:
    count = 20_000
    row = wto.weak_topological_order(graph_of([[n + 1] for n in range(count)] + [[]]), Budget())
    assert row.places[count] == (count,)
