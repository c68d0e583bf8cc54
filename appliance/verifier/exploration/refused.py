"""How an exploration ends that does not succeed."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.verifier.reports.report import Violation
from appliance.verifier.state.state import State, Visit


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
