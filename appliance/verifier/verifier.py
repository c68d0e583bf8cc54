"""The proof that a program is safe: the only place where a VerifiedProgram is made.

A program is explored with few states per point first, which is fast and enough for most. If that fails where states had
been joined, it may be the join that lost what was needed: then more of them are kept apart, first by just what the
demand wanted (`partitioning`). Each attempt begins anew; what is handed on are the facts of the one that came to its
end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from appliance.ebpf.platform import LINUX, Platform
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.errors import InputRefused
from appliance.helpers.kernel.groups import numbering
from appliance.verifier.budget import Budget, BudgetSpent
from appliance.verifier.control_flow import cfg
from appliance.verifier.diagnostics.reporting import report_of
from appliance.verifier.explanation import Explanation
from appliance.verifier.exploration.attempt import EVERY_ITERATION, Attempt, Strategy
from appliance.verifier.exploration.explore import Program, explore
from appliance.verifier.exploration.partitioning import refined
from appliance.verifier.exploration.refused import Refused
from appliance.verifier.program import _TOKEN, Facts, VerifiedProgram
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Rejected, Unsupported, Violation
from appliance.verifier.state.environment import Environment, FactsRecorder
from appliance.verifier.state.witness import Witness

_TOO_LARGE = "turn unrolled loops back into loops, or split the program by tail calls"
LARGEST_PROGRAM = 1_000_000  # slots, as in the Linux kernel (BPF_COMPLEXITY_LIMIT_INSNS)

# One after the other, until one of them proves the program.
STRATEGIES = (
    Strategy(1, 60_000, per_instruction=5),
    Strategy(4, 150_000, rounds=64, per_instruction=8),
    Strategy(64, 40_000),
    Strategy(4, 150_000, rounds=64, walked=EVERY_ITERATION),
)

# Keeping what is seen takes time, too: an exploration with a witness may take so many times as long.
WATCHED = 4


class Verifier:
    """Proves programs against the maps of their collection, on one platform. For one thread at a time."""

    def __init__(
        self,
        maps: Mapping[str, MapSpec],
        platform: Platform = LINUX,
        *,
        strategies: tuple[Strategy, ...] = STRATEGIES,
        budget: Callable[[int], Budget] = Budget.of,
    ) -> None:
        self._maps = maps
        self._inner = _inner_maps(maps)
        self._platform = platform
        self._strategies = strategies
        self._budget = budget
        self._proved: list[tuple[ProgramSpec, Facts]] = []

    def verify(self, spec: ProgramSpec) -> VerifiedProgram:
        """The program with its facts. Raises Rejected (or Unsupported), with a report, if it is not proved safe."""
        return self._verify(spec, None)

    def explain(self, spec: ProgramSpec) -> Explanation:
        """The verdict, and the states that were seen before every instruction. Takes longer than `verify`, and more
        memory; what is proved is the same."""
        witness = Witness()
        verdict: VerifiedProgram | Rejected
        try:
            verdict = self._verify(spec, witness)
        except Rejected as rejected:
            verdict = rejected
        return Explanation(spec, numbering(self._platform, spec.hook), verdict, witness.kept)

    def _verify(self, spec: ProgramSpec, witness: Witness | None) -> VerifiedProgram:
        began, budget = time.perf_counter(), self._budget(len(spec.instructions))
        known = self._known(spec) if witness is None else None
        try:
            facts = known or self._prove(spec, budget, witness)
        except Refused as refused:
            budget.open_reserve()
            report = report_of(refused, lambda: self._environment(spec), budget)
            raise (Unsupported if refused.violation.unsupported else Rejected)(report) from None
        if known is None:
            self._proved.append((spec, facts))
        return VerifiedProgram(_TOKEN, spec, self._maps, facts, time.perf_counter() - began)

    def _known(self, spec: ProgramSpec) -> Facts | None:
        """The facts of a program that was proved before and differs from this one in names alone."""
        for proved, facts in self._proved:
            renamed = replace(proved, name=spec.name, functions=spec.functions)
            if renamed == spec and proved.kernel is spec.kernel:
                return facts
        return None

    def _prove(self, spec: ProgramSpec, budget: Budget, witness: Witness | None) -> Facts:
        _check_shape(spec)
        program = Program(self._environment(spec), budget)
        if witness is not None:
            budget.seconds *= WATCHED
        failure: Refused | None = None
        counted = False
        found = False  # what no join is to blame for
        for strategy in self._strategies:
            if strategy.walked == EVERY_ITERATION and not counted:
                continue
            attempt = Attempt.of(strategy, budget, len(spec.instructions))
            outcome = self._explore(spec, program, attempt, witness)
            proved, exhausted = isinstance(outcome, Facts), isinstance(outcome, Refused) and outcome.exhausted
            decisive = proved or failure is None or strategy.rounds > 0 or not (exhausted or found)
            if decisive and witness is not None:
                witness.keep()
            if isinstance(outcome, Facts):
                return outcome
            counted |= attempt.counted
            if decisive:
                failure = outcome  # a budget, or what joins may have lost, says less than what partitions found wrong
            found |= strategy.rounds > 0 and not exhausted
            if outcome.violation.unsupported or not attempt.joined or budget.is_spent:
                break
        assert failure is not None, "there is an attempt at least"
        raise failure

    def _explore(
        self, spec: ProgramSpec, program: Program, attempt: Attempt, witness: Witness | None
    ) -> Facts | Refused:
        """One attempt, with as many rounds as it may have."""
        left = attempt.strategy.rounds
        while True:
            environment = self._environment(spec)
            environment.sight = witness.begin() if witness is not None else None
            try:
                explore(environment, program, attempt)
            except Refused as refused:
                failure = refused
            else:
                return environment.facts.facts()
            if not left or failure.violation.unsupported:
                return failure
            try:
                more = refined(attempt.partitions, failure, spec.instructions, environment.platform, attempt.budget)
            except BudgetSpent:
                return failure
            if more is None:
                return failure
            attempt.again(more)
            left -= 1

    def _environment(self, spec: ProgramSpec) -> Environment:
        facts = FactsRecorder(never_runs=not spec.hook.runs_here)
        return Environment(spec, self._maps, self._inner, numbering(self._platform, spec.hook), facts)


def _inner_maps(maps: Mapping[str, MapSpec]) -> dict[str, MapSpec]:
    """What the maps in each map of maps are like, by the name that they have in proofs. Raises InputRefused if such a
    name means something else, too."""
    inner: dict[str, MapSpec] = {}
    for spec in maps.values():
        if spec.inner is None:
            continue
        name = spec.inner.name
        if name in maps or inner.setdefault(name, spec.inner) != spec.inner:
            raise InputRefused(f"the maps in {spec.name!r} are called {name!r}, and so is another map")
    return inner


def _check_shape(spec: ProgramSpec) -> None:
    """What must hold before there is a graph. Raises Refused."""
    slots = sum(instruction.slots for instruction in spec.instructions)
    if spec.fault is not None:
        what = f"can't be put together: {spec.fault}"
        raise Refused(Violation(Rejection.NOT_LINKED, what, spec.fault.hint, unsupported=True), 0, None)
    if not spec.instructions:
        raise Refused(Violation(Rejection.NO_RETURN, "has no instructions", "end every path with a return"), 0, None)
    if slots > LARGEST_PROGRAM:
        raise Refused(
            Violation(
                Rejection.TOO_LARGE, f"has {slots} slots of instructions, more than {LARGEST_PROGRAM}", _TOO_LARGE
            ),
            0,
            None,
        )
    outside = cfg.outside_target(spec.instructions)
    if outside is not None:
        raise Refused(
            Violation(Rejection.NOT_LINKED, "jumps out of the program", "compile or assemble it again"), outside, None
        )
