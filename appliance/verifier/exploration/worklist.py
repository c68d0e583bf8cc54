"""What is ahead of an exploration: states that wait for their times, and the ones in which the function returned."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from appliance.verifier.control_flow.wto import Time
from appliance.verifier.state.state import State


@dataclass(slots=True)
class Worklist:
    """`waiting`: the block and the states of each time that has any. `last_turns` and `began` tell of each loop, by the
    time around its iterations: in which states its last iteration began, and how many steps were taken before the first
    one. For one thread, that of the proof."""

    waiting: dict[Time, tuple[int, list[State]]] = field(default_factory=dict)
    returned: list[State] = field(default_factory=list)
    last_iterations: dict[Time, list[State]] = field(default_factory=dict)
    began: dict[Time, int] = field(default_factory=dict)
    _times: list[Time] = field(default_factory=list)

    def at(self, time: Time, block: int) -> list[State]:
        """The states that wait for that time, to which others may be added."""
        found = self.waiting.get(time)
        if found is None:
            found = self.waiting[time] = (block, [])
            heapq.heappush(self._times, time)
        return found[1]

    def next(self, around: Time) -> tuple[Time, int, list[State]] | None:
        """The earliest time, with its block and states, if it is inside of the iteration `around`."""
        if not self._times or self._times[0][: len(around)] != around:
            return None
        time = heapq.heappop(self._times)
        return time, *self.waiting.pop(time)
