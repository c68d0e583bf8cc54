"""One attempt at a proof, and what it may spend of the budget.

    Strategy   how an attempt explores, and its share of the steps
    Attempt    one of them as it goes on: what it has spent, and where

What is kept of the past is no budget: it serves reports and partitions alone, and where it grows too large,
the oldest is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.verifier.budget import Budget, BudgetSpent
from appliance.verifier.exploration.refused import Refused
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.partitions import Partitions

EVERY_ITERATION = 1 << 63  # is walked: only where another attempt counted a loop's iterations


class Strategy(NamedTuple):
    """`width` states are kept apart at each point. If the attempt fails for what a join lost, it is made again up to
    `rounds` times, with partitions (`partitioning`).

    Its `share` of the steps, and so many `per_instruction`, is for all of its rounds, once states have been joined:
    with a greater width, another attempt may need fewer. An attempt that knows all may spend all that is left. Loops
    are `walked` for so many iterations before it is tried to count them (`induction`).
    """

    width: int
    share: int
    rounds: int = 0
    per_instruction: int = 0
    walked: int = 16


# What states met at a point, whatever partitions say: beyond it, the newest are joined.
MOST_APART = 512


# Registers and stack cells of the past, before it is forgotten: some 200 megabytes.
MOST_PAST = 2_000_000


@dataclass(slots=True)
class Attempt:
    """One attempt. `joined` tells afterwards whether precision was given up anywhere, `counted` whether by a loop that
    was not walked (`induction`).

    By `partitions` states are kept apart, whatever the width. `share` is the attempt's, in steps; `limit` is what may
    be spent before something is given up that was only tried: an iteration of loops that have `around` iterations
    together. For one thread, that of the proof.
    """

    strategy: Strategy
    budget: Budget
    share: int
    partitions: Partitions = field(default_factory=dict)
    spent: int = 0
    waiting: int = 0
    past: int = 0
    joined: bool = False
    counted: bool = False
    limit: int | None = None
    around: int = 1
    iterations: dict[int, int] = field(default_factory=dict)
    states: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, strategy: Strategy, budget: Budget, instructions: int) -> Attempt:
        """The effort at a program of that length."""
        return cls(strategy, budget, strategy.share + strategy.per_instruction * instructions)

    def again(self, partitions: Partitions) -> None:
        """The same attempt with more partitions, in what is left of its share."""
        self.partitions = partitions
        self.joined = self.counted = False
        self.waiting = self.past = 0
        self.iterations, self.states = {}, {}

    @property
    def width(self) -> int:
        return self.strategy.width

    def spend(self, states: int, steps: int, index: int) -> None:
        """That many states take so many steps each, from the instruction `index` on. Raises Refused when a budget is
        spent."""
        self.states[index] = self.states.get(index, 0) + states
        self.spent += states * steps
        if self.limit is not None and self.spent > self.limit:
            raise self._excess(f"takes more than {self.limit} steps to explore")
        if self.joined and self.spent > self.share:
            raise self._excess(f"takes more than {self.share} steps to explore")
        try:
            self.budget.spend(states * steps)
        except BudgetSpent as spent:
            raise self._excess(str(spent)) from None

    @contextmanager
    def trying(self, steps: int, iterations: int) -> Iterator[None]:
        """What is tried here ends as if the budget were spent when it takes more steps than that. It is an iteration of
        a loop that has so many."""
        limit, around = self.limit, self.around
        self.limit = self.spent + steps if limit is None else min(limit, self.spent + steps)
        self.around *= max(iterations, 1)
        try:
            yield
        finally:
            self.limit, self.around = limit, around

    def wait(self, more: int) -> None:
        """So many states more wait to be explored. Raises Refused if they are too many."""
        self.waiting += more
        if self.waiting > self.budget.states:
            raise self._excess(f"takes more than {self.budget.states} states at one time to explore")

    def keep(self, values: int) -> bool:
        """Whether a past of so many values more is kept; if not, it begins anew."""
        self.past += values
        if self.past <= MOST_PAST:
            return True
        self.past = 0
        return False

    def _excess(self, words: str) -> Refused:
        """The report names the loop that took the most iterations, or where the most states were."""
        if self.iterations:
            index, iterations = max(self.iterations.items(), key=lambda item: item[1])
            words += f"; this loop went through {iterations + 1} iterations"
            hint = "bound the loop by a smaller constant, or split the program"
        else:
            index, states = max(self.states.items(), key=lambda item: item[1])
            words += f"; {states} different states came here"
            hint = (
                "decide what is the same for all of them once, in a function of its own (`__noinline`) or before they "
                "part; or split the program by tail calls"
            )
        return Refused(Violation(Rejection.BUDGET, words, hint), index, None, exhausted=True, counts=self.states)
