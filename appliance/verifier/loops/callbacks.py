"""The iterations of a callback: a helper calls the same function over and over, nobody knows how often.

    before ──┬──> iteration ──> iteration ──> … ──┐
             │        └── 1: stop ──┐             ├──> what is known behind the helper
             └────── no iteration ──┴─────────────┘

An iteration is explored from every state that an iteration can begin in. Its end may be the beginning of the next one:
if that state is not included in those seen, it is one more of them or, if they are too many, joined with one of them;
and what still changes after some joins is widened. So the iterations come to an end.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.inclusion import includes
from appliance.verifier.state.join import join
from appliance.verifier.state.state import State
from appliance.verifier.state.widen import widen

JOINS = 8  # of one state, before it is widened
_LOST = range(6)  # a call loses r0 to r5

Iteration = Callable[[State], list[State]]


def demand_answer(state: State) -> None:
    """A callback returns 0 or 1."""
    value = state.registers[0]
    if value is None:
        raise Violation(
            Rejection.CALLBACK, "returns nothing to the helper that called it back", "return 0 to go on, 1 to stop"
        )
    if type(value) is not Scalar or not value.whole.umax <= 1:
        raise Violation(
            Rejection.CALLBACK,
            f"returns {value} to the helper that called it back, but must return 0 or 1",
            "return 0 to go on, 1 to stop",
        )


class Iterations:
    """One call of such a helper, from one state. There are `most` iterations at most.
    For one thread, that of the proof."""

    def __init__(self, before: State, iteration: Iteration, most: int, width: int, fresh: Callable[[], int]) -> None:
        self._iteration = iteration
        self._most = most
        self._width = width
        self._fresh = fresh
        self.joined = False
        first = before.copy()
        for register in _LOST:
            first.set(register, None)
        self._begin = [first]
        self._held_references = before.held_references()
        self._joins = [0]
        self._stopped: list[State] = []

    def outcomes(self) -> list[State]:
        """The states behind the helper; r0 to r5 hold nothing."""
        waiting, made = {0}, 0
        while waiting and made < self._most:
            begun = [self._begin[place].copy() for place in sorted(waiting)]
            waiting, made = set(), made + 1
            for state in begun:
                waiting |= self._ends(self._iteration(state))
        return self._begin + [state for state in self._stopped if not self._is_known(state)]

    def _ends(self, states: list[State]) -> set[int]:
        """What an iteration ended in: places of states that the next iteration begins in, and was not seen to begin in
        before."""
        following = set()
        for state in states:
            if state.held_references() != self._held_references:
                raise Violation(
                    Rejection.CALLBACK,
                    "calls a function back that begins with other records than it ends with",
                    "submit or discard in the callback what is reserved there, and nothing else",
                )
            answer = state.registers[0]
            assert type(answer) is Scalar
            state.set(0, None)
            if answer.whole.umin:
                self._stopped = self._with(self._stopped, state)
            elif (place := self._add(state)) is not None:
                following.add(place)
        return following

    def _is_known(self, state: State) -> bool:
        return any(includes(known, state) for known in self._begin)

    def _add(self, state: State) -> int | None:
        """The place of the state among those that an iteration begins in, if that iteration must be explored."""
        if self._is_known(state):
            return None
        if len(self._begin) < self._width:
            self._begin.append(state)
            self._joins.append(0)
            return len(self._begin) - 1
        self.joined = True
        place = len(self._begin) - 1
        combine = join if self._joins[place] < JOINS else widen
        self._joins[place] += 1
        self._begin[place] = combine(self._begin[place], state, self._fresh)
        return place

    def _with(self, states: list[State], state: State) -> list[State]:
        """The states and one more, joined if they are too many."""
        if any(includes(known, state) for known in states):
            return states
        if len(states) < self._width:
            return [*states, state]
        self.joined = True
        return [*states[:-1], join(states[-1], state, self._fresh)]
