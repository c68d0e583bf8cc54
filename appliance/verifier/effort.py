"""What an exploration may spend, and how it ends if it does not succeed."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.verifier.report import Violation
from appliance.verifier.state import State


class Refused(Exception):
    """A violation with its place: the instruction and the state before it."""

    def __init__(self, violation: Violation, index: int, state: State | None) -> None:
        super().__init__(violation.demand)
        self.violation = violation
        self.index = index
        self.state = state


@dataclass(slots=True)
class Effort:
    """What one exploration may spend. `joined` tells afterwards whether precision was given up anywhere."""

    width: int
    budget: int
    spent: int = 0
    joined: bool = False
    turns: dict[int, int] = field(default_factory=dict)

    def spend(self, steps: int, index: int) -> None:
        """Raises Refused when the budget is spent; the report names the loop that took the most turns."""
        self.spent += steps
        if self.spent <= self.budget:
            return
        words = f"takes more than {self.budget} steps to explore"
        if self.turns:
            index, turns = max(self.turns.items(), key=lambda item: item[1])
            words += f"; this loop went through {turns + 1} turns"
        raise Refused(Violation(words, "bound the loop by a smaller constant, or split the program"), index, None)
