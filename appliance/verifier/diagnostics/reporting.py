"""From a demand that was not met to what the user gets: the report, with the path that leads there."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from appliance.ebpf.isa.disassembler import statement
from appliance.ebpf.isa.instructions import FRAME_POINTER, slot_numbers
from appliance.verifier.budget import Budget
from appliance.verifier.control_flow import liveness
from appliance.verifier.diagnostics.blame import ABOUT_HELD
from appliance.verifier.diagnostics.causes import path_with_causes
from appliance.verifier.diagnostics.notes import Cause
from appliance.verifier.diagnostics.spread import path_of_states
from appliance.verifier.diagnostics.words import words_of
from appliance.verifier.exploration.refused import Refused
from appliance.verifier.reports.path import Role, Step
from appliance.verifier.reports.report import Report
from appliance.verifier.state.environment import Environment

MOST_STEPS = 8

# How many causes nearer to the instruction a cause of that role is worth, less than the most telling.
_WEIGHTS = {
    Role.MADE: 0,
    Role.LOST: 0,
    Role.UNSET: 0,
    Role.LEARNED: 1,
    Role.CALLED: 1,
    Role.JOINED: 2,
    Role.CHANGED: 3,
    Role.DECIDED: 4,
    Role.RETURNED: 5,
    Role.SPREAD: 0,
}


def report_of(refused: Refused, environment: Callable[[], Environment], budget: Budget) -> Report:
    """The report. `environment` makes one that is new, for what is explored again. Where the `budget` ends, less of
    the path is told."""
    given = environment()
    spec, violation, index = given.spec, refused.violation, refused.index
    slots = slot_numbers(spec.instructions)
    inside = index < len(spec.instructions)
    found = path_of_states(refused, spec) if refused.exhausted else path_with_causes(refused, environment, budget)
    return Report(
        kind=violation.kind,
        program=spec.name,
        section=spec.section,
        index=index,
        slot=slots[index] if inside else 0,
        text=_text(given, index, slots) if inside else "",
        source=spec.line_of(index),
        demand=violation.demand,
        known=_known(refused, given) if inside else (),
        hint=violation.hint,
        path=found.path,
        steps=tuple(_step(given, cause, slots) for cause in _most_telling(found.causes)),
    )


def _most_telling(causes: tuple[Cause, ...]) -> Iterable[Cause]:
    """MOST_STEPS at most, in their order."""
    ranked = sorted(range(len(causes)), key=lambda place: len(causes) - place + _WEIGHTS[causes[place].role])
    return [causes[place] for place in sorted(ranked[:MOST_STEPS])]


def _step(environment: Environment, cause: Cause, slots: tuple[int, ...]) -> Step:
    spec, index = environment.spec, cause.place
    return Step(index, slots[index], _text(environment, index, slots), spec.line_of(index), cause.role, cause.effect)


def _known(refused: Refused, environment: Environment) -> tuple[tuple[str, str], ...]:
    """What is in the registers that the instruction reads."""
    state, instruction = refused.state, environment.spec.instructions[refused.index]
    if state is None or refused.violation.unsupported or refused.violation.kind in ABOUT_HELD:
        return ()
    reads = liveness.register_effects(instruction, environment.platform.helpers)[0]
    held = state.registers
    told = refused.violation.registers
    return tuple(
        (f"r{n}", words_of(environment, held[n], state))
        for n in range(FRAME_POINTER)
        if reads >> n & 1 and (held[n] is not None or n in told)
    )


def _text(environment: Environment, index: int, slots: tuple[int, ...]) -> str:
    instruction = environment.spec.instructions[index]
    target = getattr(instruction, "target", 0)
    if not 0 <= target < len(slots):
        return f"goto instruction {target} of {len(slots)}"
    return statement(instruction, slots, environment.platform)
