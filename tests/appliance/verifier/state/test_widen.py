"""Joined and widened states include what they were made of, and widening comes to an end."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.verifier.domains import scalar
from appliance.verifier.state.inclusion import includes
from appliance.verifier.state.join import join
from appliance.verifier.state.state import State
from appliance.verifier.state.widen import widen
from tests.appliance.verifier.states import states

PARTS = 11 + 32  # of these states that can change: registers, and bytes of the stack


@pytest.mark.parametrize("combine", [join, widen])
@given(a=states(), b=states())
def test_both_are_included(combine: Callable[..., State], a: State, b: State) -> None:
    made = combine(a, b, itertools.count(100).__next__)
    assert includes(made, a)
    assert includes(made, b)


@given(a=states())
def test_a_state_includes_itself(a: State) -> None:
    assert includes(a, a.copy())


@given(a=states(), following=st.lists(states(), min_size=1, max_size=4))
def test_widening_ends(a: State, following: list[State]) -> None:
    """Whatever comes again and again, after a while it is included."""
    fresh, changes = itertools.count(100).__next__, 0
    for state in itertools.islice(itertools.cycle(following), 4 * PARTS):
        if not includes(a, state):
            a, changes = widen(a, state, fresh), changes + 1
    assert changes <= PARTS
    assert all(includes(a, state) for state in following)


def test_what_changed_is_any_number_and_what_did_not_stays() -> None:
    a, b = State.entry(), State.entry()
    for state, number in ((a, 1), (b, 2)):
        state.set(2, scalar.constant(number))
        state.set(3, scalar.constant(7))
        state.store(-8, 4, scalar.constant(number))
    made = widen(a, b, itertools.count(100).__next__)
    assert made.registers[2:4] == [scalar.UNKNOWN, scalar.constant(7)]
    assert made.stack[-8].value == scalar.unknown(4)
