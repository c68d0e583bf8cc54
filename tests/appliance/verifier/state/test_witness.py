"""What a witness keeps of an exploration: all that came, in few states."""

from __future__ import annotations

from itertools import count
from typing import Any

from appliance.ebpf.spec import ProgramSpec
from appliance.verifier import Verifier
from appliance.verifier.budget import Budget
from appliance.verifier.domains import scalar
from appliance.verifier.exploration.attempt import Attempt, Strategy
from appliance.verifier.exploration.explore import Program
from appliance.verifier.state.frames import enter
from appliance.verifier.state.inclusion import includes
from appliance.verifier.state.state import State
from appliance.verifier.state.witness import MOST_TRACES, Sight, Witness
from appliance.verifier.verifier import WATCHED
from tests.appliance.verifier.support import program

FRESH = count(100)


def state(number: int) -> State:
    made = State.entry()
    made.registers[6] = scalar.constant(number)
    return made


def walk(sight: Sight, number: int, end: int = 3) -> None:
    """A state goes through the instructions [0, end), and counts r6 up at each."""
    moving = state(number)
    for _ in sight.walk(moving, 0, end, lambda: next(FRESH)):
        held = moving.registers[6]
        assert isinstance(held, scalar.Scalar)
        assert held.constant is not None
        moving.registers[6] = scalar.constant(held.constant + 1)


def test_a_few_are_kept_by_themselves() -> None:
    sight = Sight()
    for number in range(MOST_TRACES):
        walk(sight, 10 * number)
    assert [[str(trace.states[at].registers[6]) for at in range(3)] for trace in sight.traces[0]] == [
        [str(10 * number + at) for at in range(3)] for number in range(MOST_TRACES)
    ]
    assert sight.arrived == {0: MOST_TRACES}


def test_what_is_seen_already_is_not_kept_again() -> None:
    sight = Sight()
    for _ in range(9):
        walk(sight, 1)
    assert (len(sight.traces[0]), sight.arrived) == (1, {0: 9})


def test_many_are_joined_at_every_instruction_and_none_is_lost() -> None:
    sight = Sight()
    numbers = range(0, 90, 10)
    for number in numbers:
        walk(sight, number)
    [trace] = sight.traces[0]
    assert trace.joined == len(numbers)
    for at in range(3):
        assert all(includes(trace.states[at], state(number + at)) for number in numbers)


def test_states_that_hold_different_things_or_are_of_different_depth_stay_apart() -> None:
    sight = Sight()
    for depth in range(2):
        for number in range(MOST_TRACES + 2):
            moving = state(number)
            for _ in range(depth):
                enter(moving)
                moving.registers[6] = scalar.constant(number)
            assert list(sight.walk(moving, 0, 1, lambda: next(FRESH))) == [0]
    assert [trace.states[0].depth for trace in sight.traces[0]] == [0, 1]


def test_one_that_ends_early_leaves_the_rest_of_the_block_as_it_was() -> None:
    sight = Sight()
    walk(sight, 1, end=3)
    steps = sight.walk(state(7), 0, 3, lambda: next(FRESH))
    next(steps)
    steps.close()
    assert [sorted(trace.states) for trace in sight.traces[0]] == [[0, 1, 2], [0]]


def test_being_watched_does_not_spend_the_time_of_the_proof() -> None:
    """A budget of time that a plain proof keeps to is not spent by what is kept of it."""
    spec = program("r0 = 2\nexit")
    given: list[float] = []

    class Watched(Verifier):
        def _explore(self, spec: ProgramSpec, program: Program, attempt: Attempt, witness: Witness | None) -> Any:
            given.append(attempt.budget.seconds)
            return super()._explore(spec, program, attempt, witness)

    verifier = Watched({}, strategies=(Strategy(1, 100),), budget=lambda _: Budget(seconds=3.0))
    verifier.verify(spec)
    verifier.explain(spec)
    assert given == [3.0, 3.0 * WATCHED]


def test_the_exploration_that_decides_is_kept() -> None:
    witness = Witness()
    first = witness.begin()
    witness.keep()
    second = witness.begin()
    assert witness.kept is first
    witness.keep()
    assert witness.kept is second
