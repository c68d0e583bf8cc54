"""What an exploration may spend, and how it ends if it does not succeed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from appliance.verifier.places import Partitions
from appliance.verifier.rejections import Rejection
from appliance.verifier.report import Violation
from appliance.verifier.state import State

if TYPE_CHECKING:
    from appliance.verifier.history import Visit


class Refused(Exception):
    """A violation with its place: the instruction and the state before it. `exhausted`: a budget is spent; then
    `counts` says how many states came to each block, by its first instruction, and `visit` where the last one was."""

    def __init__(
        self,
        violation: Violation,
        index: int,
        state: State | None,
        *,
        exhausted: bool = False,
        counts: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__(violation.demand)
        self.violation = violation
        self.index = index
        self.state = state
        self.exhausted = exhausted
        self.counts = counts or {}
        self.visit: Visit | None = None


class Attempt(NamedTuple):
    """Limits of one attempt at a proof: states kept apart at each point, steps, seconds. If the attempt fails for what
    a join lost, it is made again up to `rounds` times, with partitions (`refine`) and in the same steps altogether."""

    width: int
    steps: int
    seconds: float = 30.0
    rounds: int = 0


# What states met at a point, whatever partitions say: beyond it, the newest are joined.
MOST_APART = 512


@dataclass(slots=True)
class Effort:
    """What one exploration may spend. `joined` tells afterwards whether precision was given up anywhere.

    By `partitions` states are kept apart, whatever the width.
    """

    attempt: Attempt
    partitions: Partitions = field(default_factory=dict)
    spent: int = 0
    clock: Callable[[], float] = time.monotonic
    deadline: float = field(init=False)
    joined: bool = False
    turns: dict[int, int] = field(default_factory=dict)
    states: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.deadline = self.clock() + self.attempt.seconds

    def again(self, partitions: Partitions) -> None:
        """The same attempt with more partitions, in what steps and time are left."""
        self.partitions = partitions
        self.joined = False
        self.turns, self.states = {}, {}

    @property
    def width(self) -> int:
        return self.attempt.width

    def spend(self, states: int, steps: int, index: int) -> None:
        """That many states take so many steps each, from the instruction `index` on. Raises Refused when a budget is
        spent; the report names the loop that took the most turns, or where the most states were."""
        self.states[index] = self.states.get(index, 0) + states
        self.spent += states * steps
        if self.spent > self.attempt.steps:
            raise self._excess(f"takes more than {self.attempt.steps} steps to explore")
        if self.clock() > self.deadline:
            raise self._excess(f"takes more than {self.attempt.seconds:g} seconds to explore")

    def _excess(self, words: str) -> Refused:
        if self.turns:
            index, turns = max(self.turns.items(), key=lambda item: item[1])
            hint = "bound the loop by a smaller constant, or split the program"
            words += f"; this loop went through {turns + 1} turns"
            return Refused(Violation(Rejection.BUDGET, words, hint), index, None, exhausted=True, counts=self.states)
        index, states = max(self.states.items(), key=lambda item: item[1])
        hint = (
            "decide what is the same for all of them once, in a function of its own (`__noinline`) or before they "
            "part; or split the program by tail calls"
        )
        return Refused(
            Violation(Rejection.BUDGET, f"{words}; {states} different states came here", hint),
            index,
            None,
            exhausted=True,
            counts=self.states,
        )
