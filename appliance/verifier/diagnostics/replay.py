"""The states inside of a visit. A history keeps those at the start of each block; what is between is made again."""

from __future__ import annotations

from collections.abc import Callable

from appliance.verifier.checks.transfer import TRANSFERS
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State, Visit

# Names are made anew, too, and must be others than those of the history.
FIRST_NAME = 1 << 40


def states_within(visit: Visit, end: int, environment: Callable[[], Environment]) -> list[State]:
    """The states before each instruction of the visit up to `end`, and the one behind the last. Whatever demands were
    met then are met again. An instruction that passes control (a call, a branch) is the last one of its block: what it
    does is seen in the visit that follows."""
    fresh = environment()
    fresh.last_name = FIRST_NAME
    state = visit.state.copy()
    states = [state.copy()]
    for index in range(visit.start, end):
        instruction = fresh.spec.instructions[index]
        transfer = TRANSFERS.get(type(instruction))
        if transfer is not None:
            fresh.index = index
            transfer(fresh, state, index, instruction)
        states.append(state.copy())
    return states
