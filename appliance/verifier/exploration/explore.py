"""The exploration: states travel through the blocks in the order of their times (`wto`), and merge where they meet.

At every time, up to `width` states are kept apart (`join_points`); when more arrive, alike ones are joined, which keeps
the work linear and loses some precision. With width 1 this is classic abstract interpretation, with a large one it
walks every path. Where a join was found to lose what a demand needs, a partition (`partitioning`) keeps states apart by
just that. Loops are not widened: each iteration has a time of its own, so a loop that is accepted has been seen to end,
or its iterations have been counted (`counting`).

Where a function of the program is called, it is explored from the state at hand, and its ends go on (`callees`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from appliance.ebpf.isa.instructions import Branch, Exit, Instruction
from appliance.verifier.budget import Budget, BudgetSpent
from appliance.verifier.checks.demands import DEMANDS
from appliance.verifier.checks.transfer import TRANSFERS
from appliance.verifier.control_flow import cfg, liveness, wto
from appliance.verifier.control_flow.calls import runs_other_code
from appliance.verifier.control_flow.cfg import BasicBlock, ControlFlowGraph
from appliance.verifier.control_flow.wto import Order, Time
from appliance.verifier.exploration.attempt import Attempt
from appliance.verifier.exploration.branches import outcomes
from appliance.verifier.exploration.callees import CallSite, follow_call
from appliance.verifier.exploration.counting import Counting
from appliance.verifier.exploration.join_points import JoinPoints
from appliance.verifier.exploration.refused import Refused
from appliance.verifier.exploration.worklist import Worklist
from appliance.verifier.loops.callbacks import demand_answer
from appliance.verifier.loops.recurrences import Loop, loop_of
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.frames import enter, leave
from appliance.verifier.state.inclusion import includes
from appliance.verifier.state.points import END, Point
from appliance.verifier.state.pruning import prune
from appliance.verifier.state.state import Arrival, State, Visit

# Passing from block to block takes time, too: a block counts as at least so many instructions.
LEAST_STEPS = 8

# Where the budget is spent before the first state: what takes more than time in proportion to a program's length.
_TANGLED = "the loops of this function stand too deep in each other to be put in order"
_UNTANGLE = "move inner loops to functions of their own (`__noinline`), or make one loop of them"

# To count a loop's iterations may take half the steps that the walked ones took, and so many more.
LEAST_TRIED = 4_000


@dataclass(frozen=True, slots=True)
class Function:
    """The main program or a function that it calls: its graph, the order of its blocks, what is live in each."""

    entry: int
    graph: ControlFlowGraph
    order: Order
    live: list[int]
    loops: dict[int, Loop] = field(default_factory=dict)

    def loop(self, head: int) -> Loop:
        """The loop of which that block is the head."""
        return self.loops.setdefault(head, loop_of(self.graph, self.order, head))


class Program:
    """The functions of one program, each prepared when it is first called. For one thread, that of the proof."""

    def __init__(self, environment: Environment, budget: Budget) -> None:
        self._environment = environment
        self._budget = budget
        self._functions: dict[int, Function] = {}

    def function(self, entry: int) -> Function:
        """The function that starts at that instruction. Raises Refused if it takes too much to prepare it."""
        function = self._functions.get(entry)
        if function is None:
            try:
                function = self._functions[entry] = self._prepared(entry)
            except BudgetSpent as spent:
                violation = Violation(Rejection.BUDGET, f"{spent}; {_TANGLED}", _UNTANGLE)
                raise Refused(violation, entry, None, exhausted=True) from None
        return function

    def _prepared(self, entry: int) -> Function:
        environment, budget = self._environment, self._budget
        instructions, helpers = environment.spec.instructions, environment.platform.helpers
        graph = cfg.build(instructions, budget, entry, partial(runs_other_code, helpers))
        live = liveness.live_at_blocks(instructions, graph, helpers, environment.maps, budget)
        return Function(entry, graph, wto.weak_topological_order(graph, budget), live)


def explore(environment: Environment, program: Program, attempt: Attempt) -> None:
    """Explore everything. Raises Refused at the first demand that is not met, or when the budget is spent."""
    _Exploration(environment, program, attempt, program.function(0)).run(State.entry())
    excess = environment.frames.excess(environment.spec.functions)
    if excess is not None:
        raise Refused(excess[1], excess[0], None)


class _Exploration:
    """One function, from one state. `callback`: a helper called it, and waits for its answer."""

    def __init__(
        self,
        environment: Environment,
        program: Program,
        attempt: Attempt,
        function: Function,
        *,
        callback: bool = False,
    ) -> None:
        self._environment = environment
        self._program = program
        self._attempt = attempt
        self._callback = callback
        self._function = function
        self._entry = function.entry
        self._order = function.order
        self._live = function.live
        self._blocks = function.graph.blocks
        self._worklist = Worklist()
        self._join_points = JoinPoints(attempt, function.entry, environment.fresh)

    def run(self, entry: State) -> list[State]:
        """The states in which the function ends."""
        self._arrive(self._order.start(0), 0, entry)
        self._go_on(())
        self._attempt.wait(-len(self._worklist.returned))
        return self._worklist.returned

    def _go_on(self, around: Time) -> None:
        """Explore what waits for its time, as far as that is inside of the iteration `around`."""
        while (ahead := self._worklist.next(around)) is not None:
            time, number, states = ahead
            self._attempt.wait(-len(states))
            if len(time) > 1 and self._order.loops[number][-1] == number:
                self._begin_iteration(time, self._blocks[number], states)
                if self._is_counted(time[-2]) and self._count(time, number, states):
                    continue
            self._explore_block(time, number, states)

    def _explore_block(self, time: Time, number: int, states: list[State]) -> None:
        """States through one block."""
        block = self._blocks[number]
        try:
            self._attempt.spend(len(states), max(block.end - block.start, LEAST_STEPS), block.start)
        except Refused as refused:
            refused.visit = states[0].past
            raise
        self._environment.facts.reachable.update(range(block.start, block.end))
        for state in states:
            self._block(time, number, block, state)

    def _block(self, time: Time, number: int, block: BasicBlock, state: State) -> None:
        """One state through one block, and on to the next ones."""
        environment, instructions = self._environment, self._environment.spec.instructions
        index, called = block.start, None
        try:
            for index in self._indices(block, state):
                instruction = instructions[index]
                kind = type(instruction)
                environment.index = index
                DEMANDS[kind](environment, state, instruction)
                if index == block.end - 1 and runs_other_code(environment.platform.helpers, instruction):
                    called = follow_call(CallSite(environment, self._attempt, self._explore, state, index), instruction)
                elif kind in TRANSFERS:
                    TRANSFERS[kind](environment, state, index, instruction)
            self._demand_end(block, state, instruction)
        except Violation as violation:
            raise Refused(violation, index, state) from None
        if isinstance(instruction, Branch):
            for target, outcome in zip(block.successors, outcomes(self._environment, state, instruction), strict=True):
                if outcome is not None:
                    self._arrive(self._order.advance(time, number, target), target, outcome)
        elif isinstance(instruction, Exit):
            if state.depth:
                leave(state)
                self._return(state)
        else:
            for returned in called.returned if called is not None else ():
                self._return(returned)
            target = block.successors[0]
            for following in called.behind if called is not None else (state,):
                self._arrive(self._order.advance(time, number, target), target, following)

    def _indices(self, block: BasicBlock, state: State) -> Iterable[int]:
        """The block's instructions. Who looks on sees the state before each of them."""
        sight = self._environment.sight
        if sight is None:
            return range(block.start, block.end)
        return sight.walk(state, block.start, block.end, self._environment.fresh)

    def _demand_end(self, block: BasicBlock, state: State, last: Instruction) -> None:
        """A block leads on, or returns what the caller waits for."""
        if type(last) is Exit:
            if self._callback:
                demand_answer(state)
        elif len(block.successors) < (2 if type(last) is Branch else 1):
            raise Violation(Rejection.NO_RETURN, "runs off the end of the program", "end every path with a return")

    def _explore(self, function: int, state: State, call: int, *, callback: bool = False) -> list[State]:
        """Explore a function that this one calls."""
        enter(state)
        callee = self._program.function(function)
        with self._environment.frames.entered(function, call, callback=callback):
            return _Exploration(self._environment, self._program, self._attempt, callee, callback=callback).run(state)

    def _arrive(self, time: Time, number: int, state: State) -> None:
        """A state waits for its time, together with those that are there already."""
        prune(state, self._live[number])
        self._visit(number, state)
        self._join_points.add(self._worklist.at(time, number), state, number)

    def _return(self, state: State) -> None:
        self._visit(END, state)
        self._join_points.add(self._worklist.returned, state, END)

    def _visit(self, number: int, state: State, arrivals: tuple[Arrival, ...] | None = None) -> None:
        """Keep the history: the state comes to a block, from where it was before if no `arrivals` are given."""
        arrived, before = state.copy(), state.past
        arrived.past = None
        changed = before is None or before.state.stack is not state.stack
        if not self._attempt.keep(len(state.registers) + (len(state.stack) if changed else 0)):
            before = None
        start, end = (self._blocks[number].start, self._blocks[number].end) if number != END else (0, 0)
        state.past = Visit(Point(self._entry, number), start, end, arrived, arrivals or (Arrival(arrived, before),))

    def _begin_iteration(self, time: Time, head: BasicBlock, states: list[State]) -> None:
        """A loop's iteration begins. If it begins like the iteration before, it goes on for ever; if it knows more, as
        where a number that was bounded before is counted down, it may still end."""
        around, iteration = time[:-2], time[-2]
        iterations = self._attempt.iterations
        iterations[head.start] = max(iterations.get(head.start, 0), iteration)
        last = self._worklist.last_iterations.get(around)
        self._worklist.began.setdefault(around, self._attempt.spent)
        if iteration and last is not None and all(any(_alike(old, new) for old in last) for new in states):
            violation = Violation(
                Rejection.ENDLESS_LOOP,
                f"begins iteration {iteration + 1} of a loop with nothing changed since the one before: it is not seen "
                "to end",
                "count the iterations with a variable that the loop's condition compares with a constant",
            )
            raise Refused(violation, head.start, states[0])
        self._worklist.last_iterations[around] = [state.copy() for state in states]

    def _is_counted(self, iteration: int) -> bool:
        """Whether it is tried to prove the loop by counting when that iteration begins."""
        return iteration >= self._attempt.strategy.walked and iteration.bit_count() == 1

    def _count(self, time: Time, number: int, states: list[State]) -> bool:
        """Prove the rest of a loop by counting its iterations, of which the next one begins in these states; False if
        it is to be walked on."""
        ends = Counting(
            self._environment,
            self._attempt,
            self._entry,
            self._function.loop(number),
            states,
            partial(self._join_points.kind, number=number),
            (self._attempt.spent - self._worklist.began[time[:-2]]) // 2 + LEAST_TRIED,
            partial(self._one_iteration, time, number, _arrivals(states)),
        ).outcome()
        if ends is None:
            return False
        for later, (target, following) in ends.waiting.items():
            for state in following:
                self._join_points.add(self._worklist.at(later, target), state, target)
        for state in ends.returned:
            self._join_points.add(self._worklist.returned, state, END)
        return True

    def _one_iteration(
        self, time: Time, number: int, arrivals: tuple[Arrival, ...], states: list[State]
    ) -> tuple[list[State], Worklist]:
        """Where one iteration of a loop leads that begins in these states: what begins the next one, and what leads
        out."""
        around, self._worklist = self._worklist, Worklist()
        try:
            for state in states:
                self._visit(number, state, arrivals)
            self._explore_block(time, number, states)
            self._go_on(time[:-1])
            following = (*time[:-2], time[-2] + 1, time[-1])
            return self._worklist.waiting.pop(following, (number, []))[1], self._worklist
        finally:
            self._worklist = around


def _arrivals(states: list[State]) -> tuple[Arrival, ...]:
    """Where any of the states came from."""
    return tuple(arrival for state in states if state.past is not None for arrival in state.past.arrivals)


def _alike(a: State, b: State) -> bool:
    return includes(a, b) and includes(b, a)
