"""Which states must be kept apart, so that a demand which failed may be met.

What the instruction wanted is followed back through the history, instruction by instruction (`origins`). Every join
that it passes gets a partition by the place that it is in there; behind a join, only the arrivals are followed that
know no more than the join does. If no arrival anywhere knew more, no join is to blame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from appliance.ebpf.isa.instructions import Instruction
from appliance.ebpf.platform import Platform
from appliance.verifier.budget import Budget
from appliance.verifier.exploration.origins import across, last, sources, wanted
from appliance.verifier.exploration.refused import Refused
from appliance.verifier.state.partitions import Partitions, Place
from appliance.verifier.state.points import ANYWHERE, END, Point
from appliance.verifier.state.state import Visit

_Step: TypeAlias = tuple[Visit, int, Place]  # a place before the instruction of that index, or at the visit's start


def refined(
    partitions: Partitions, refused: Refused, instructions: Sequence[Instruction], platform: Platform, budget: Budget
) -> Partitions | None:
    """The partitions and what the demand that failed calls for; None if no join is to blame. Raises BudgetSpent."""
    if refused.state is None or refused.state.past is None or refused.index >= len(instructions):
        return None
    found: dict[tuple[Visit, Place], None] = {}
    blamed = False
    places = wanted(refused.state, instructions[refused.index], platform)
    work: list[_Step] = [(refused.state.past, refused.index, place) for place in places]
    while work:
        visit, index, place = work.pop()
        budget.visit(1 + index - visit.start)
        for origin in _origins(visit, index, place, instructions):
            if (visit, origin) in found:
                continue
            found[visit, origin] = None
            blamed |= _follow(visit, origin, work)
    if not blamed:
        return None
    more = dict(partitions)
    for visit, place in found:
        if len(visit.arrivals) > 1:
            point, apart = _cure(visit, place)
            if apart not in more.get(point, ()):
                more[point] = (*more.get(point, ()), apart)
    return more if more != partitions else None


def _cure(visit: Visit, place: Place) -> tuple[Point, Place]:
    """Where to keep states apart from now on, and by what. What is something on one path and nothing (or something of
    another kind) on the other is lost at every join on the path to where it is used, so it is kept apart all the
    way."""
    outline = place.in_outline()
    if outline is not None and len({outline.held(arrival.state) for arrival in visit.arrivals}) > 1:
        return Point(visit.point.function, ANYWHERE), outline
    return visit.point, place


def _follow(visit: Visit, place: Place, work: list[_Step]) -> bool:
    """Back from the start of a visit, into the visits before it. Tells whether a join lost something here."""
    known = place.held(visit.state)
    differ = False
    for arrival in visit.arrivals:
        if place.held(arrival.state) != known:
            differ = True
        elif arrival.before is not None:
            moved = across(visit, arrival.before, place)
            if moved is not None:
                work.append((arrival.before, last(visit, arrival.before), moved))
    return differ


def _origins(visit: Visit, index: int, place: Place, instructions: Sequence[Instruction]) -> list[Place]:
    """What the place depends upon, at the start of the visit."""
    places = {place}
    if visit.point.block == END:
        return [place]
    for position in range(index - 1, visit.start - 1, -1):
        for one in tuple(places):
            made_from = sources(visit, position, one, instructions)
            if made_from is not None:
                places.discard(one)
                places.update(made_from)
    return list(places)
