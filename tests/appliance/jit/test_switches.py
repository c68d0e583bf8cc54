"""Trees of comparisons that become tables: every number goes where the tree would have led it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ebpf.interpreter import Interpreter
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.spec import ProgramSpec
from appliance.jit.switches import find_switch
from hooks.contracts.xdp import XDP_LINUX
from tests.appliance.jit.support import run_raw

CASES = """
    if w6 s> 3 goto high
    if w6 s> 1 goto two_or_three
    if w6 == 0 goto zero
    r0 = 11; exit
    two_or_three: if w6 == 2 goto two
    r0 = 13; exit
    high: if w6 == 4 goto four
    r0 = 15; exit
    zero: r0 = 10; exit
    two: r0 = 12; exit
    four: r0 = 14; exit
"""
NUMBERS = [*range(-3, 12), 200, 1 << 31, (1 << 31) - 1, -(1 << 31), 1 << 32, (1 << 32) + 2, (1 << 63) - 1, -(1 << 63)]
CONDITIONS = st.sampled_from(["==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<="])


def prepared(number: int, tree: str) -> str:
    return f"r0 = 0; r6 = {number} ll\n{tree}"


def answers(tree: str, number: int) -> tuple[int, int]:
    """Native code's, and the interpreter's."""
    instructions = assemble(prepared(number, tree))
    return run_raw(instructions), Interpreter(ProgramSpec("tree", "xdp", XDP_LINUX, instructions)).run_memory(
        bytearray()
    )


@pytest.mark.parametrize("number", NUMBERS)
def test_a_switch_answers_like_its_tree(number: int) -> None:
    native, expected = answers(CASES, number)
    assert native == expected
    if 0 <= number <= 4:
        assert native == 10 + number


def test_the_table_has_every_case() -> None:
    instructions = assemble(CASES)
    switch = find_switch(instructions, 0, range(len(instructions)))
    assert switch is not None
    assert switch.nodes == {0, 1, 2, 5, 8}
    leaves = {number: instructions[leaf].source.value for number, leaf in switch.table.items()}  # type: ignore[union-attr]
    assert leaves == {number: 10 + number for number in range(6)}


def test_a_way_that_nobody_takes_is_not_in_the_table() -> None:
    instructions = assemble(CASES)
    zero = next(index for index, each in enumerate(instructions) if getattr(each, "source", None) == _is(10))
    switch = find_switch(instructions, 0, set(range(len(instructions))) - {zero})
    assert switch is not None
    assert set(switch.table) == {1, 2, 3, 4, 5}


def _is(value: int) -> object:
    (instruction, _) = assemble(f"r0 = {value}; exit")
    return instruction.source  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "tree",
    [
        "if r6 == 0 goto out; if r6 == 1 goto out; if r6 == 2 goto out; out: exit",  # few
        "if r6 == 0 goto out; if r6 == 99 goto out; if r6 == 2 goto out; if r6 == 3 goto out; out: exit",  # sparse
        "if r6 == 0 goto out; if r6 == 1 goto out; if r7 == 2 goto out; if r6 == 3 goto out; out: exit",  # of two
        "if r6 == 0 goto out; if r6 == 1 goto out; if w6 == 2 goto out; if r6 == 3 goto out; out: exit",  # halves
        "if r6 & 1 goto out; if r6 & 2 goto out; if r6 & 4 goto out; if r6 & 8 goto out; out: exit",  # bits
    ],
)
def test_what_is_no_switch_stays_a_tree(tree: str) -> None:
    instructions = assemble(tree)
    assert find_switch(instructions, 0, range(len(instructions))) is None


def _tree(draw: st.DrawFn, register: str, depth: int, names: Iterator[int]) -> str:
    """A random tree: the fall-through first, then the way that jumps."""
    if not depth:
        return f"r0 = {next(names) + 1000}; exit"
    name = f"at{next(names)}"
    test = f"if {register} {draw(CONDITIONS)} {draw(st.integers(-4, 9))} goto {name}"
    return f"{test}\n{_tree(draw, register, depth - 1, names)}\n{name}: {_tree(draw, register, depth - 1, names)}"


@given(st.data())
def test_random_trees(data: st.DataObject) -> None:
    tree = _tree(data.draw, data.draw(st.sampled_from(["r6", "w6"])), 3, count())
    instructions = assemble(tree)
    assert find_switch(instructions, 0, range(len(instructions))) is not None
    for number in data.draw(st.lists(st.sampled_from(NUMBERS), min_size=4, max_size=4)):
        native, expected = answers(tree, number)
        assert native == expected
