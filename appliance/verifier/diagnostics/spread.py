"""Where the states came from, if there were too many: the branches of which both sides were gone most often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from appliance.ebpf.isa.instructions import Branch, slot_numbers
from appliance.ebpf.spec import ProgramSpec
from appliance.verifier.diagnostics.causes import CausedPath
from appliance.verifier.diagnostics.notes import Cause
from appliance.verifier.diagnostics.paths import path_to
from appliance.verifier.exploration.refused import Refused
from appliance.verifier.reports.path import Role
from appliance.verifier.state.state import Visit

MOST_BRANCHES = 5


def path_of_states(refused: Refused, spec: ProgramSpec) -> CausedPath:
    """One path to where the exploration ended, and the branches that made the most states, in their order."""
    visit = _last_at(refused.visit, refused.index)
    path = path_to(visit, refused.index) if visit is not None else path_to(refused.visit, None)
    return CausedPath(path, tuple(sorted(_branches(spec, refused.counts))))


def _last_at(visit: Visit | None, index: int) -> Visit | None:
    """The last visit on the path of the block that begins there."""
    while visit is not None and visit.start != index:
        visit = visit.arrivals[0].before
    return visit


def _branches(spec: ProgramSpec, counts: Mapping[int, int]) -> Iterator[Cause]:
    """The branches whose rarer side was gone most often; of those that were gone to one side only, as in a loop, the
    one that was met most often."""
    slots = slot_numbers(spec.instructions)
    sides = {
        index: (counts.get(instruction.target, 0), counts.get(index + 1, 0))
        for index, instruction in enumerate(spec.instructions)
        if isinstance(instruction, Branch) and instruction.target != index + 1
    }
    most = sorted(sides, key=lambda index: (min(sides[index]), max(sides[index])), reverse=True)
    for place, index in enumerate(most[:MOST_BRANCHES]):
        taken, not_taken = sides[index]
        if min(taken, not_taken) > 1 or (not place and taken + not_taken):
            yield Cause(
                index,
                Role.SPREAD,
                f"{taken} states came to slot {slots[spec.instructions[index].target]}, where it is taken, "  # type: ignore[union-attr]
                f"and {not_taken} to slot {slots[index] + 1}, where it is not",
            )
