"""What of a program is emitted, and where its basic blocks start.

entry ──find_body──> body: the instructions of one subprogram that can run, in order
                     leaders: the first of each basic block; every jump goes to one
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from appliance.ebpf.isa.instructions import Branch, CallFunction, Exit, Instruction, Jump, LoadFunction


@dataclass(frozen=True, slots=True)
class SubprogramBody:
    """What can run of one subprogram: the instructions `indices`. `calls`: the starts of those that it calls, or whose
    address it takes. `falls_off`: the instruction after which nothing follows though something should."""

    entry: int
    indices: tuple[int, ...]
    leaders: list[int]
    calls: frozenset[int]
    falls_off: int | None


def successors(index: int, instruction: Instruction) -> tuple[int, ...]:
    """The instructions that may run next; a call comes back to the next one."""
    match instruction:
        case Jump(target=target):
            return (target,)
        case Branch(target=target):
            return (target, index + 1)
        case Exit():
            return ()
        case _:
            return (index + 1,)


def find_body(instructions: Sequence[Instruction], entry: int, reachable: Collection[int]) -> SubprogramBody:
    """Follow the jumps from `entry`, through instructions that are `reachable`."""
    seen, leaders, calls = {entry}, {entry}, set()
    falls_off, pending = None, [entry]
    while pending:
        index = pending.pop()
        instruction = instructions[index]
        if isinstance(instruction, CallFunction | LoadFunction):
            calls.add(instruction.target)
        following = successors(index, instruction)
        if any(following_index >= len(instructions) for following_index in following):
            falls_off = index
        taken = [target for target in following if target in reachable]
        if isinstance(instruction, Jump | Branch):
            leaders.update(taken)
        pending.extend(target for target in taken if target not in seen)
        seen.update(taken)
    return SubprogramBody(entry, tuple(sorted(seen)), sorted(leaders), frozenset(calls), falls_off)
