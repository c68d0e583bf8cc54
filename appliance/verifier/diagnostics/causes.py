"""Why a value is what it is where a demand was not met: the instructions on one path there that have a part in it.

What the demand is about (`blame`) is followed back through the history, along one path: where states were joined, along
the arrival that knew no more than the join does. Each block on it is gone through again (`replay`), so that every
change of a wanted place is seen, whatever made it: an instruction (`effects`), a branch (`deciding`), a call.
Iterations of a loop are told once, the last one: in the others the same happens to the same places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from appliance.ebpf.isa.instructions import FRAME_POINTER, Branch, CallHelper, Exit
from appliance.verifier.budget import Budget
from appliance.verifier.diagnostics.blame import blamed
from appliance.verifier.diagnostics.deciding import Branches
from appliance.verifier.diagnostics.effects import behind_call, made_from
from appliance.verifier.diagnostics.endless import note_iteration
from appliance.verifier.diagnostics.notes import Cause, Notes
from appliance.verifier.diagnostics.paths import path_to
from appliance.verifier.diagnostics.replay import states_within
from appliance.verifier.diagnostics.sides import Later
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import FRAME_DISTANCE
from appliance.verifier.exploration.callees import PASSED_ALONG
from appliance.verifier.exploration.origins import across, last
from appliance.verifier.exploration.refused import Refused
from appliance.verifier.reports.path import Role
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.partitions import Part, Place
from appliance.verifier.state.points import END, Point
from appliance.verifier.state.state import SAVED, Arrival, State, Visit

MOST_BEHIND = 64  # visits that are looked at for branches when nothing is wanted any more
MOST_ARGUMENTS = 2  # of a call that are told

Places = frozenset[Place]


class CausedPath(NamedTuple):
    """One path from the program's start to the instruction, as indices, and the causes on it, in their order."""

    path: tuple[int, ...]
    causes: tuple[Cause, ...]


def path_with_causes(refused: Refused, environment: Callable[[], Environment], budget: Budget) -> CausedPath:
    """The path to a demand that was not met, and what has a part in that. `environment` makes one that is new. Where
    the `budget` is spent, the path is still given, but no cause before."""
    if refused.state is None or refused.state.past is None:
        return CausedPath((), ())
    if refused.violation.unsupported:
        return CausedPath(path_to(refused.state.past, refused.index), ())
    return _Walk(environment, budget).to(refused.state, refused.state.past, refused)


class _Walk:
    """Back along one path, with the places that are wanted there."""

    def __init__(self, environment: Callable[[], Environment], budget: Budget) -> None:
        self._make = environment
        self._budget = budget
        self._notes = Notes(environment())
        self._instructions = self._notes.instructions
        self._branches = Branches(self._notes, budget)
        self._known: dict[tuple[Point, int, Places, int], Places] = {}
        self._blamed: Places = frozenset()
        self._behind = 0

    def to(self, state: State, visit: Visit, refused: Refused) -> CausedPath:
        """The path to the instruction, in that state of that visit."""
        places = self._blamed = blamed(refused, state, self._notes.environment)
        if refused.violation.kind is Rejection.ENDLESS_LOOP:
            places = note_iteration(self._notes, visit, state)
        pieces: list[range] = []
        end, upto, after, following, open_frames = refused.index, refused.index + 1, state, 0, state.depth
        while True:
            pieces.append(range(visit.start, upto))
            places = self._through(visit, end, after, places, following) if self._looks(places) else _NONE
            arrival = self._arrival(visit, places)
            before = arrival.before
            if before is None:
                self._begin(visit, places)
                break
            crossed = self._cross(visit, before, arrival, places, following)
            if visit.depth > before.depth:
                crossed = self._call(visit, before, places, crossed, is_open=visit.depth == open_frames)
                open_frames = min(open_frames, before.depth)
            places, end, upto = crossed, last(visit, before), before.end
            after, following, visit = arrival.state, visit.start, before
        path = tuple(index for piece in reversed(pieces) for index in piece)
        return CausedPath(path, self._notes.causes())

    def _looks(self, places: Places) -> bool:
        """Whether there is something to look for. Behind the last place, it is the branch that led there."""
        self._behind = 0 if places else self._behind + 1
        return self._behind <= MOST_BEHIND and self._budget.affords(1)

    def _through(self, visit: Visit, end: int, after: State, places: Places, following: int) -> Places:
        """Back through one visit, from before the instruction `end` to its start."""
        if visit.point.block == END:
            return self._through_callback(places, visit.state, after, following)
        self._notes.order += 1
        key = (visit.point, end, places, following)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._back(visit, end, after, places, following)
        later = self._branches.later.setdefault(visit.point.function, {})
        later[visit.point.block] = Later(known, self._notes.order)
        return known

    def _through_callback(self, places: Places, before: State, after: State, following: int) -> Places:
        """From behind a call that calls functions back to the end of the last of them."""
        call = self._instructions[following - 1] if following else None
        if not isinstance(call, CallHelper):
            return places
        return _NONE.union(
            *(behind_call(self._notes, following - 1, call, place, before, after) for place in sorted(places))
        )

    def _back(self, visit: Visit, end: int, after: State, places: Places, following: int) -> Places:
        final = self._instructions[end - 1] if end == visit.end and end > visit.start else None
        if not places:
            if isinstance(final, Branch):
                self._branches.decide(visit, final, following, after)
            return places
        if not self._budget.affords(end - visit.start):
            return _NONE
        states = states_within(visit, end, self._make)
        if isinstance(final, Branch):
            self._branches.meet(visit, final, states[-1], after, places, following)
        elif isinstance(final, Exit):
            self._leave(end - 1, states[-1], after, places)
        wanted = set(places)
        for index in range(end - 1, visit.start - 1, -1):
            before, behind = states[index - visit.start : index - visit.start + 2]
            for place in sorted(wanted):
                stores = place in self._blamed
                origins = made_from(self._notes, visit, index, place, before, behind, stores=stores)
                if origins is not None:
                    wanted.discard(place)
                    wanted |= origins
        return frozenset(wanted)

    def _leave(self, index: int, before: State, after: State, places: Places) -> None:
        """A function ends, and with it its frame."""
        for place in sorted(places):
            if place.part is Part.STACK and place.value(before) is not None and place.value(after) is None:
                words = f"{self._notes.dead(place, before)} when the function has returned"
                self._notes.note(index, Role.LOST, words)

    def _arrival(self, visit: Visit, places: Places) -> Arrival:
        """Of those that were joined, one that knows no more than the join."""
        if not places:
            return visit.arrivals[0]
        chosen = max(visit.arrivals, key=lambda arrival: _likeness(arrival.state, visit.state, places))
        if visit.point.block == END:
            return chosen
        for place in sorted(places):
            held = place.held(chosen.state)
            if held == place.held(visit.state):
                continue
            others = (arrival.state for arrival in visit.arrivals if place.held(arrival.state) != held)
            here, behind = self._notes.said(place, chosen.state), self._notes.said(place, visit.state)
            other = next(others, None)
            there = f", on another {self._notes.said(place, other)}" if other is not None else ""
            words = (
                f"paths meet: on this one {here}{there}; so {behind}"
                if there
                else f"in all iterations together {behind}"
            )
            self._notes.note(visit.start, Role.JOINED, words)
        return chosen

    def _cross(self, visit: Visit, before: Visit, arrival: Arrival, places: Places, following: int) -> Places:
        """From the start of a visit into the one before it."""
        if visit.depth == before.depth:
            return places
        enters = visit.depth > before.depth
        moved = set()
        for place in sorted(places):
            source = across(visit, before, place)
            own = enters and place.part is Part.STACK and place.at < -FRAME_DISTANCE * visit.depth
            if source is not None and not own:
                moved.add(source)
            elif enters:
                self._notes.note(visit.start, Role.UNSET, self._notes.unset(place, visit.state))
            else:
                self._notes.note(following - 1, Role.LOST, self._notes.destroyed(place, visit.state))
            if not enters and place == Place(Part.REGISTER, 0):
                words = f"`{self._notes.function(before.point.function)}` returns, so "
                self._notes.note(before.end - 1, Role.RETURNED, words + self._notes.said(place, arrival.state))
        if not enters:
            self._branches.later.pop(before.point.function, None)
        return frozenset(moved)

    def _call(self, visit: Visit, before: Visit, places: Places, crossed: Places, *, is_open: bool) -> Places:
        """A function is entered. Those that are not left again are told in any case. What is passed to one that a
        helper calls back is not where that helper has it."""
        if before.point.block == END:
            return crossed
        index, name = before.end - 1, self._notes.function(visit.point.function)
        call = self._instructions[index]
        back = isinstance(call, CallHelper)
        arguments = [place for place in sorted(places) if _is_argument(place)]
        told = [self._notes.said(place, visit.state) for place in arguments if place.value(visit.state) is not None]
        if is_open or told:
            words = "; ".join((f"calls `{name}`{' back' if back else ''}", *told[:MOST_ARGUMENTS]))
            self._notes.note(index, Role.CALLED, words)
        if not back:
            return crossed
        passed = PASSED_ALONG.get(self._notes.helper(call), {})
        along = {place._replace(at=passed[place.at]) for place in arguments if place.at in passed}
        return frozenset(place for place in crossed if not _is_argument(place)) | along

    def _begin(self, visit: Visit, places: Places) -> None:
        """The start of the path, or where it was forgotten, as that of iterations of a callback that are joined."""
        for place in sorted(places):
            if place.part not in (Part.REGISTER, Part.STACK) or place == Place(Part.REGISTER, FRAME_POINTER):
                continue
            if visit.point != _START:
                words = f"of the path before, all that is known is that {self._notes.said(place, visit.state)}"
                self._notes.note(visit.start, Role.JOINED, words)
            elif place.value(visit.state) is None:
                self._notes.note(visit.start, Role.UNSET, self._notes.unset(place, visit.state))
            elif place.part is Part.REGISTER:
                self._notes.note(visit.start, Role.MADE, f"at the start {self._notes.said(place, visit.state)}")


_NONE: Places = frozenset()
_START = Point(0, 0)


def _is_argument(place: Place) -> bool:
    return place.part is Part.REGISTER and 0 < place.at < SAVED.start


def _likeness(state: State, joined: State, places: Places) -> int:
    """How much of what was lost in a join was not there in a state that came to it."""
    return sum(_alike(place, state, joined) for place in places)


def _alike(place: Place, state: State, joined: State) -> int:
    if place.held(state) == place.held(joined):
        return 4
    a, b = place.value(state), place.value(joined)
    if type(a) is Scalar and type(b) is Scalar:
        return 2 * (a.whole.umax == b.whole.umax) + (a.whole.smin == b.whole.smin)
    return 0
