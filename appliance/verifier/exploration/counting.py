"""Trying to prove the rest of a loop at once, and taking back what was noted where that fails (`induction`)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial, reduce
from typing import NamedTuple, TypeAlias

from appliance.verifier.budget import BudgetSpent
from appliance.verifier.exploration.budget import Effort, Refused
from appliance.verifier.exploration.worklist import Agenda
from appliance.verifier.loops.induction import Induction, counts, settled
from appliance.verifier.loops.recurrences import Growth, Loop, growth_of
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.join import join
from appliance.verifier.state.state import State

# Explores one turn of the loop: the states in which the next one begins, and what led out of the loop.
OneTurn: TypeAlias = Callable[[list[State]], tuple[list[State], Agenda]]


class Counting(NamedTuple):
    """A loop of the function that begins at the instruction `function`, of which the next turn begins in `states`.
    States of one `kind` may be joined. Each try may take so many `steps`."""

    environment: Environment
    effort: Effort
    function: int
    loop: Loop
    states: list[State]
    kind: Callable[[State], Hashable]
    steps: int
    one_turn: OneTurn

    def outcome(self) -> Agenda | None:
        """What leads out of the loop, in this turn or in any later one; None if that is not proved: then nothing has
        happened but that steps were spent. If that was the last of the budget, the next step tells."""
        environment = self.environment
        start = reduce(partial(join, fresh=environment.fresh), self.states)
        growth = self._growth()
        if growth is None:
            return None
        for count in counts(growth, start, self.effort.around):
            notes, waiting, joined = environment.notes(), self.effort.waiting, self.effort.joined
            with self.effort.trying(self.steps, count.turns):
                ends = self._try(Induction.of(count, growth, start, environment.fresh))
            self.effort.waiting, self.effort.joined = waiting, joined
            if ends is not None:
                self.effort.joined = self.effort.counted = True
                return ends
            environment.forget(notes)
        return None

    def _growth(self) -> Growth | None:
        try:
            return growth_of(self.environment, self.function, self.loop, self.effort.budget)
        except BudgetSpent:
            return None

    def _try(self, induction: Induction) -> Agenda | None:
        ends = Agenda()

        def turn(begun: list[State]) -> list[State]:
            nonlocal ends
            again, ends = self.one_turn(begun)
            return again

        try:
            proved = settled(induction, self.states, turn, self.kind, self.environment.fresh)
        except Refused:
            return None
        growth = self._growth() if proved else None
        return ends if growth is not None and induction.agrees(growth) else None
