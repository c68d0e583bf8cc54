"""Where a state came from: the visits of blocks that led to it.

    visit of block 3 ──┐  arrival
                       ├──────────> visit of block 7, from the join of both ──> …
    visit of block 5 ──┘  arrival

What a demand found missing is followed back through them (`refine`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from appliance.verifier.state.partitions import Point
from appliance.verifier.state.state import State


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


def path_to(visit: Visit | None, index: int | None) -> tuple[int, ...]:
    """The way of the first that came, to the instruction `index` in that visit, or to the visit's end."""
    pieces: list[range] = []
    end = index + 1 if index is not None else visit.end if visit is not None else 0
    while visit is not None:
        pieces.append(range(visit.start, end))
        visit = visit.arrivals[0].before
        end = visit.end if visit is not None else 0
    return tuple(index for piece in reversed(pieces) for index in piece)
