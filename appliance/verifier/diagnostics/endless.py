"""A loop that is not seen to end: the branches of its last iteration, which lead to the next one."""

from __future__ import annotations

from appliance.ebpf.isa.instructions import Branch, Register
from appliance.verifier.diagnostics.deciding import outcome_of
from appliance.verifier.diagnostics.notes import Notes
from appliance.verifier.reports.path import Role
from appliance.verifier.state.partitions import Part, Place
from appliance.verifier.state.state import State, Visit


def note_iteration(notes: Notes, head: Visit, state: State) -> frozenset[Place]:
    """Takes note of the branches of the iteration before the visit of the loop's head. Gives what they compare, as far
    as it is there at the head."""
    compared: set[Place] = set()
    found, following, visit = False, head, head.arrivals[0].before
    while visit is not None:
        branch = notes.instructions[visit.end - 1]
        if isinstance(branch, Branch) and branch.target != visit.end and visit.depth == head.depth:
            registers = [branch.dst, *([branch.source.number] if isinstance(branch.source, Register) else [])]
            held = [Place(Part.REGISTER, register) for register in registers]
            words = [notes.said(place, following.state) for place in held if place.value(following.state) is not None]
            effect = f"{outcome_of(branch, following.start)} in every iteration"
            notes.note(visit.end - 1, Role.DECIDED, "; ".join((effect, *words)))
            compared.update(place for place in held if place.value(state) is not None)
            found = True
        if visit.point == head.point:
            break
        following, visit = visit, visit.arrivals[0].before
    before = head.arrivals[0].before
    if not found and before is not None:
        notes.note(before.end - 1, Role.DECIDED, "leads back, whatever the iteration did")
    return frozenset(compared)
