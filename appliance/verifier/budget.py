"""What one proof may spend: one object that goes through every pass of the verifier, and that each of them spends from.

    cfg, liveness, order of loops   visits of blocks and instructions   ┐
    exploration                     steps                               │  one Budget
    counted loops                   steps, and visits                   │
    partitions, after a failure     visits                              ┘
    the report of a rejection       its reserve

Steps decide: they are the same on every machine, and so is the verdict. The seconds are those of the processor, and a
net for machines that are slow beyond reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

# An instruction that is explored in a state takes as long as so many visits of a pass over the graph.
VISITS_PER_STEP = 16

# What the report of a rejection may spend, however much the proof has spent.
RESERVED_STEPS = 100_000
RESERVED_SECONDS = 2.0


class BudgetSpent(Exception):
    """A pass must end; the words say what was too much."""


@dataclass(slots=True)
class Budget:
    """What all passes and attempts of one proof may spend together; `states` are those that wait to be explored at one
    time. Belongs to one thread, that of the proof."""

    steps: int = 200_000
    seconds: float = 4.5
    states: int = 20_000
    clock: Callable[[], float] = time.thread_time
    spent: int = 0
    began: float = field(init=False)
    _visits: int = 0

    def __post_init__(self) -> None:
        self.began = self.clock()

    @classmethod
    def of(cls, instructions: int) -> Budget:
        """For a program of that length: each has to be seen a few times, in five seconds if there are some 9,000."""
        return cls(200_000 + 3 * instructions, 4.5 + instructions / 20_000)

    @property
    def is_spent(self) -> bool:
        """Whether another attempt would end at once."""
        return self.spent > self.steps or self.clock() - self.began > self.seconds

    def spend(self, steps: int) -> None:
        """So many instructions are gone through. Raises BudgetSpent when that, or the time, was too much."""
        self.spent += steps
        if self.spent > self.steps:
            raise BudgetSpent(f"takes more than {self.steps} steps to explore")
        if self.clock() - self.began > self.seconds:
            raise BudgetSpent(f"takes more than {self.seconds:g} seconds to explore")

    def visit(self, count: int) -> None:
        """A pass looks at so many blocks or instructions, in no state. Raises BudgetSpent as `spend` does."""
        steps, self._visits = divmod(self._visits + count, VISITS_PER_STEP)
        if steps:
            self.spend(steps)

    def open_reserve(self) -> None:
        """The verdict stands: whatever is left of the budget, telling why may take this."""
        self.steps = self.spent + RESERVED_STEPS
        self.seconds = self.clock() - self.began + RESERVED_SECONDS

    def affords(self, steps: int) -> bool:
        """Whether so many steps more are left; if so they are spent."""
        if self.is_spent or self.spent + steps > self.steps:
            return False
        self.spent += steps
        return True
