"""The exploration: states travel through the blocks in the order of their times (`order`), and merge where they meet.

At every time, up to `width` states are kept apart; when more arrive, alike ones are joined, which keeps the work
linear and loses some precision. With width 1 this is classic abstract interpretation, with a large one it walks every
path. Loops are not widened: each turn has a time of its own, so a loop that is accepted has been seen to end.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from appliance.ebpf.instructions import Branch, Exit
from appliance.verifier import merge
from appliance.verifier.cfg import ControlFlowGraph
from appliance.verifier.conditions import ways
from appliance.verifier.demands import DEMANDS
from appliance.verifier.environment import Environment
from appliance.verifier.order import Order, Time
from appliance.verifier.report import Violation
from appliance.verifier.state import State
from appliance.verifier.transfer import TRANSFERS
from appliance.verifier.values import Pointer


class Refused(Exception):
    """A violation with its place: the instruction and the state before it."""

    def __init__(self, violation: Violation, index: int, state: State | None) -> None:
        super().__init__(violation.demand)
        self.violation = violation
        self.index = index
        self.state = state


@dataclass(slots=True)
class Exploration:
    """One exploration of one program. `joined` tells afterwards whether precision was given up anywhere."""

    environment: Environment
    graph: ControlFlowGraph
    order: Order
    live: list[int]
    width: int
    budget: int
    joined: bool = False
    _pending: dict[Time, tuple[int, list[State]]] = field(default_factory=dict)
    _times: list[Time] = field(default_factory=list)
    _last_turns: dict[Time, list[State]] = field(default_factory=dict)
    _turns: dict[int, int] = field(default_factory=dict)

    def run(self) -> None:
        """Explore everything. Raises Refused at the first demand that is not met, or when the budget is spent."""
        self._arrive(self.order.start(0), 0, State.entry())
        left = self.budget
        while self._times:
            time = heapq.heappop(self._times)
            number, states = self._pending.pop(time)
            block = self.graph.blocks[number]
            if self.order.loops[number] and self.order.loops[number][-1] == number:
                self._turn(time, number, states)
            left -= len(states) * (block.end - block.start)
            if left < 0:
                raise self._spent(block.start)
            self.environment.facts.reachable.update(range(block.start, block.end))
            for state in states:
                self._block(time, number, state)

    def _block(self, time: Time, number: int, state: State) -> None:
        """One state through one block, and on to the next ones."""
        block = self.graph.blocks[number]
        environment, instructions = self.environment, self.environment.spec.instructions
        index = block.start
        try:
            for index in range(block.start, block.end):
                instruction = instructions[index]
                kind = type(instruction)
                DEMANDS[kind](environment, state, instruction)
                transfer = TRANSFERS.get(kind)
                if transfer is not None:
                    transfer(environment, state, index, instruction)
            if not block.successors and kind is not Exit:
                raise Violation("runs off the end of the program", "end every path with a return")
        except Violation as violation:
            raise Refused(violation, index, state) from None
        if kind is Branch:
            self._branch(time, number, instruction, state)  # type: ignore[arg-type]
        elif block.successors:
            self._follow(time, number, block.successors[0], state)

    def _branch(self, time: Time, number: int, branch: Branch, state: State) -> None:
        successors = self.graph.blocks[number].successors
        falls, jumps = ways(state, branch)
        if falls is not None:
            if len(successors) < 2:
                index = self.graph.blocks[number].end - 1
                violation = Violation("runs off the end of the program", "end every path with a return")
                raise Refused(violation, index, falls)
            self._follow(time, number, successors[0], falls)
        if jumps is not None:
            self._follow(time, number, successors[-1], jumps)

    def _follow(self, time: Time, source: int, target: int, state: State) -> None:
        self._arrive(self.order.advance(time, source, target), target, state)

    def _arrive(self, time: Time, number: int, state: State) -> None:
        """A state waits for its time, together with those that are there already."""
        state.keep(self.live[number])
        waiting = self._pending.get(time)
        if waiting is None:
            self._pending[time] = (number, [state])
            heapq.heappush(self._times, time)
            return
        states = waiting[1]
        if self.width > 1:
            for other in states:
                if merge.includes(other, state):
                    return
            states[:] = [other for other in states if not merge.includes(state, other)]
        states.append(state)
        if len(states) > self.width:
            self._join_two(states)

    def _join_two(self, states: list[State]) -> None:
        """Make one of two: of the newest and the last one before it of the same shape, if there is any."""
        self.joined = True
        newest = states.pop()
        shape = _shape(newest)
        partner = next((n for n in range(len(states) - 1, -1, -1) if _shape(states[n]) == shape), len(states) - 1)
        states[partner] = merge.join(states[partner], newest, self.environment.fresh)

    def _turn(self, time: Time, head: int, states: list[State]) -> None:
        """A loop's turn begins. If it begins like the turn before, it goes on for ever."""
        around, turn = time[:-2], time[-2]
        self._turns[head] = max(self._turns.get(head, 0), turn)
        last = self._last_turns.get(around)
        if turn and last is not None and all(any(merge.includes(old, new) for old in last) for new in states):
            raise Refused(
                Violation(
                    f"begins turn {turn + 1} of a loop with nothing changed since the turn before: "
                    "it is not seen to end",
                    "count the turns with a variable that the loop's condition compares with a constant",
                ),
                self.graph.blocks[head].start,
                states[0],
            )
        self._last_turns[around] = [state.copy() for state in states]

    def _spent(self, index: int) -> Refused:
        words = f"takes more than {self.budget} steps to explore"
        if self._turns:
            head, turns = max(self._turns.items(), key=lambda item: item[1])
            index = self.graph.blocks[head].start
            words += f"; this loop went through {turns + 1} turns"
        return Refused(Violation(words, "bound the loop by a smaller constant, or split the program"), index, None)


def _shape(state: State) -> tuple[object, ...]:
    """What joins well: the same kinds of value in the same registers."""
    return tuple(
        (value.kind, value.map, value.offset) if type(value) is Pointer else type(value) for value in state.registers
    )
