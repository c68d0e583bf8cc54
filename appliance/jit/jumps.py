"""Jumps. A way that the verifier proved nobody takes is not written, and a tree of comparisons becomes a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from appliance.ebpf.isa.instructions import Branch, Exit, Jump
from appliance.ebpf.isa.opcodes import Condition
from appliance.ir import U1, Code, N, Number
from appliance.jit.subprogram import Subprogram
from appliance.jit.switches import Switch, find_switch

Comparison = Callable[[Code, N, N], U1]


def _unsigned(operator: str) -> Comparison[Any]:
    return lambda code, left, right: code.compare(left, operator, right)


def _signed(operator: str) -> Comparison[Any]:
    return lambda code, left, right: code.compare_signed(left, operator, right)


COMPARISONS: Mapping[Condition, Comparison[Any]] = {
    Condition.EQ: _unsigned("=="),
    Condition.NE: _unsigned("!="),
    Condition.GT: _unsigned(">"),
    Condition.GE: _unsigned(">="),
    Condition.LT: _unsigned("<"),
    Condition.LE: _unsigned("<="),
    Condition.SGT: _signed(">"),
    Condition.SGE: _signed(">="),
    Condition.SLT: _signed("<"),
    Condition.SLE: _signed("<="),
    Condition.SET: lambda code, left, right: code.compare(code.and_(left, right), "!=", 0),
}


def emit_jump(sub: Subprogram, _index: int, jump: Jump) -> None:
    sub.branch(jump.target)


def emit_branch(sub: Subprogram, index: int, branch: Branch) -> None:
    successors = [target for target in (branch.target, index + 1) if target in sub.blocks]
    if len(successors) == 1:
        sub.branch(successors[0])
        return
    left, right = sub.read(branch.dst, branch.width), sub.operand(branch.source, branch.width)
    switch = find_switch(sub.plan.program.spec.instructions, index, sub.blocks) if index not in sub.switched else None
    sub.registers.end_block()
    if switch is not None:
        _emit_table(sub, left, switch)
    holds = COMPARISONS[branch.condition](sub.code, left, right)
    sub.code.builder.cbranch(holds, *(sub.blocks[target] for target in successors))


def _emit_table(sub: Subprogram, number: Number, switch: Switch) -> None:
    """Jump by the table; what is not in it goes on."""
    sub.switched |= switch.nodes
    tree = sub.code.function.append_basic_block("tree")
    table = sub.code.builder.switch(number, tree)
    for each, leaf in switch.table.items():
        table.add_case(sub.code.value(each & ((1 << number.type.width) - 1), number.type), sub.blocks[leaf])
    sub.code.builder.position_at_end(tree)


def emit_exit(sub: Subprogram, _index: int, _exit: Exit) -> None:
    sub.code.ret(sub.read(0))
