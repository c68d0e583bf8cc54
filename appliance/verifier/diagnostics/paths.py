"""The path back from a visit (`state`) to the start of the program: what it went through."""

from __future__ import annotations

from appliance.verifier.state.state import Visit


def path_to(visit: Visit | None, index: int | None) -> tuple[int, ...]:
    """The path of the first that came, to the instruction `index` in that visit, or to the visit's end."""
    pieces: list[range] = []
    end = index + 1 if index is not None else visit.end if visit is not None else 0
    while visit is not None:
        pieces.append(range(visit.start, end))
        visit = visit.arrivals[0].before
        end = visit.end if visit is not None else 0
    return tuple(index for piece in reversed(pieces) for index in piece)
