"""Where a state came from: the visits of blocks that led to it.

    visit of block 3 ──┐  arrival
                       ├──────────> visit of block 7, from the join of both ──> …
    visit of block 5 ──┘  arrival

What a demand found missing is followed back through them (`refine`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from appliance.verifier.places import Point
from appliance.verifier.state import State


class Arrival(NamedTuple):
    """A state as it came to the block, and the visit that it comes from; None at the program's start."""

    state: State
    before: Visit | None


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """One state at the start of one block; of several arrivals, it is their join. `end`: one past the block's last
    instruction."""

    point: Point
    start: int
    end: int
    state: State
    arrivals: tuple[Arrival, ...]

    @property
    def depth(self) -> int:
        return self.state.depth


def path_to(visit: Visit | None, index: int) -> tuple[int, ...]:
    """One way from the program's start to the instruction `index` in that visit: the instructions, in their order, with
    those of called functions. Where states were joined it is the way of the first that came."""
    pieces: list[range] = []
    end = index + 1
    while visit is not None:
        pieces.append(range(visit.start, end))
        before = visit.arrivals[0].before
        end = before.end if before is not None else 0
        visit = before
    return tuple(index for piece in reversed(pieces) for index in piece)
