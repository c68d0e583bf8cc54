"""Branches on the path: what they teach of what is wanted, or which side they decide for.

                 ┌── side: r6 = 4 ──┐
    branch ──────┤                  ├──> r6 is used
                 └── our path ───────┘

If our path sets a place and the side does not, or the other way round, the branch has a part in what is at fault,
though it compares something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.ebpf.isa.instructions import Branch, Register
from appliance.verifier.budget import Budget
from appliance.verifier.diagnostics.notes import Notes
from appliance.verifier.diagnostics.sides import Later, Sides
from appliance.verifier.diagnostics.words import learned_of, name_of
from appliance.verifier.domains.values import RANGED_KINDS, Pointer
from appliance.verifier.exploration.branches import is_end_of
from appliance.verifier.reports.path import Role
from appliance.verifier.state.partitions import Part, Place
from appliance.verifier.state.state import State, Visit

MOST_SAID = 2  # places that one branch teaches something of

Places = frozenset[Place]


@dataclass(slots=True)
class Branches:
    """The branches that the walk back meets. `later` is what was wanted at the blocks behind, by function.
    For one thread, that of the proof."""

    notes: Notes
    budget: Budget
    later: dict[int, dict[int, Later]] = field(default_factory=dict)
    _sides: Sides = field(init=False)

    def __post_init__(self) -> None:
        self._sides = Sides(self.notes.environment, self.budget)

    def meet(self, visit: Visit, branch: Branch, before: State, after: State, places: Places, following: int) -> None:
        """A branch between two states; `following` is the instruction that it led to."""
        index, outcome = visit.end - 1, outcome_of(branch, following)
        learned = [
            learned_of(self.notes.environment, place, before, after)
            for place in sorted(places)
            if place.held(before) != place.held(after) and (place.part is not Part.STACK or place.value(after))
        ]
        if learned:
            words = "; ".join(list(dict.fromkeys(learned))[:MOST_SAID])
            self.notes.note(index, Role.LEARNED, f"{outcome}, so {words}")
            return
        ranged = frozenset(place for place in places if _is_ranged(place, after))
        missed = _missed(branch, before, ranged) if ranged else None
        if missed is not None:
            self.notes.note(index, Role.DECIDED, f"{outcome}: {missed}")
        else:
            self.decide(visit, branch, following, after, places, ranged)

    def decide(
        self,
        visit: Visit,
        branch: Branch,
        following: int,
        after: State,
        places: Places = frozenset(),
        ranged: Places = frozenset(),
    ) -> None:
        """Whether the place would have been set on the other side, or is set on this one only."""
        if branch.target == visit.end:
            return
        function, index, outcome = visit.point.function, visit.end - 1, outcome_of(branch, following)
        later = self.later.get(function, {})
        side = self._sides.other(function, visit.point.block, taken=following == branch.target)
        setter = self._sides.setter(function, side, later, ranged) if places else None
        if setter is not None:
            self.notes.note(
                index, Role.DECIDED, f"{outcome}, past {self.notes.at(setter[0])}, {_done(setter[1], after)}"
            )
            return
        written = self._written_here(self._sides.meets(function, side, later), later)
        if written is not None:
            self.notes.note(index, Role.DECIDED, f"{outcome}, to {self.notes.at(written)}")

    def _written_here(self, meets: frozenset[int], later: Mapping[int, Later]) -> int | None:
        """An instruction on our path that writes what is wanted where the other side comes back to it."""
        for order, index, place in self.notes.written:
            if any(order > later[meet].order and place in later[meet].places for meet in meets):
                return index
        return None


def _done(place: Place, state: State) -> str:
    """What the other side would have done to the place."""
    if place.part is Part.HELD:
        return "which gives it back"
    if _is_ranged(place, state):
        return "which would show how much is inside"
    return f"which sets {name_of(place, state)}"


def outcome_of(branch: Branch, following: int) -> str:
    """Whether the condition holds."""
    return "taken" if following == branch.target else "not taken"


def _is_ranged(place: Place, state: State) -> bool:
    value = place.value(state)
    return place.part is Part.RANGE or (type(value) is Pointer and value.kind in RANGED_KINDS)


def _missed(branch: Branch, state: State, ranged: Places) -> str | None:
    """Why a comparison with the end of a memory shows nothing of the places; None if it is no such comparison."""
    if not isinstance(branch.source, Register):
        return None
    names = {place.at if place.part is Part.RANGE else _id_of(place, state) for place in ranged}
    for register, other in ((branch.dst, branch.source.number), (branch.source.number, branch.dst)):
        pointer, end = state.registers[register], state.registers[other]
        if type(pointer) is not Pointer or type(end) is not Pointer or pointer.kind not in RANGED_KINDS:
            continue
        if is_end_of(pointer, end) and pointer.id in names:
            return f"r{register} may be past the end here, so it shows nothing to be inside"
        if is_end_of(pointer, end):
            return f"it shows what is inside behind r{register} ({pointer}), which is another pointer"
    return None


def _id_of(place: Place, state: State) -> int | None:
    value = place.value(state)
    return value.id if type(value) is Pointer else None
