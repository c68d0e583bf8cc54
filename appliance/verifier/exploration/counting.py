"""Trying to prove the rest of a loop at once, and taking back what was noted where that fails (`induction`)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial, reduce
from typing import NamedTuple, TypeAlias

from appliance.verifier.budget import BudgetSpent
from appliance.verifier.exploration.attempt import Attempt
from appliance.verifier.exploration.refused import Refused
from appliance.verifier.exploration.worklist import Worklist
from appliance.verifier.loops.induction import Induction, counts, settled
from appliance.verifier.loops.recurrences import Loop, Recurrences, recurrences_of
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.join import join
from appliance.verifier.state.state import State

# Explores one iteration of the loop: the states in which the next one begins, and what led out of the loop.
OneIteration: TypeAlias = Callable[[list[State]], tuple[list[State], Worklist]]


class Counting(NamedTuple):
    """A loop of the function that begins at the instruction `function`, of which the next iteration begins in `states`.
    States of one `kind` may be joined. Each try may take so many `steps`."""

    environment: Environment
    attempt: Attempt
    function: int
    loop: Loop
    states: list[State]
    kind: Callable[[State], Hashable]
    steps: int
    one_iteration: OneIteration

    def outcome(self) -> Worklist | None:
        """What leads out of the loop, in this iteration or in any later one; None if that is not proved: then nothing
        has happened but that steps were spent. If that was the last of the budget, the next step tells."""
        environment = self.environment
        start = reduce(partial(join, fresh=environment.fresh), self.states)
        recurrences = self._recurrences()
        if recurrences is None:
            return None
        for count in counts(recurrences, start, self.attempt.around):
            notes, waiting, joined = environment.notes(), self.attempt.waiting, self.attempt.joined
            with self.attempt.trying(self.steps, count.iterations):
                ends = self._try(Induction.of(count, recurrences, start, environment.fresh))
            self.attempt.waiting, self.attempt.joined = waiting, joined
            if ends is not None:
                self.attempt.joined = self.attempt.counted = True
                return ends
            environment.forget(notes)
        return None

    def _recurrences(self) -> Recurrences | None:
        try:
            return recurrences_of(self.environment, self.function, self.loop, self.attempt.budget)
        except BudgetSpent:
            return None

    def _try(self, induction: Induction) -> Worklist | None:
        ends = Worklist()

        def iteration(begun: list[State]) -> list[State]:
            nonlocal ends
            again, ends = self.one_iteration(begun)
            return again

        try:
            proved = settled(induction, self.states, iteration, self.kind, self.environment.fresh)
        except Refused:
            return None
        recurrences = self._recurrences() if proved else None
        return ends if recurrences is not None and induction.agrees(recurrences) else None
