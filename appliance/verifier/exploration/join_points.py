"""States that meet at one point: which are kept apart, and which are joined.

At every time, up to `width` states that hold the same things (`references`) are kept apart, and more by partitions
(`partitioning`); one that is included in another goes no further.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from appliance.verifier.domains.values import Pointer
from appliance.verifier.exploration.attempt import MOST_APART, Attempt
from appliance.verifier.state.inclusion import includes
from appliance.verifier.state.join import join
from appliance.verifier.state.partitions import Place
from appliance.verifier.state.points import ANYWHERE, Point
from appliance.verifier.state.state import State


@dataclass(frozen=True, slots=True)
class JoinPoints:
    """Where states of a function meet, that begins at the instruction `function`. `fresh` gives names."""

    attempt: Attempt
    function: int
    fresh: Callable[[], int]

    def kind(self, state: State, number: int) -> Hashable:
        """At the block of that number, states that differ in it are not joined."""
        return _kind(state, self._apart(number))

    def add(self, states: list[State], state: State, number: int) -> None:
        """Keep the state, unless it is included in another; join two when there are more than `width` of its kind."""
        if self.attempt.width > 1 and states:
            if any(includes(other, state) for other in states):
                return
            more = [other for other in states if not includes(state, other)]
            if len(more) < len(states):
                self.attempt.wait(len(more) - len(states))
                states[:] = more
        states.append(state)
        self.attempt.wait(1)
        if len(states) == 1:
            return
        places = self._apart(number) if len(states) <= MOST_APART else ()
        kind = _kind(state, places)
        if sum(_kind(other, places) == kind for other in states) > self.attempt.width:
            self._join_two(states, places)

    def _apart(self, number: int) -> tuple[Place, ...]:
        """The places by which states are kept apart there."""
        partitions = self.attempt.partitions
        if not partitions:
            return ()
        return partitions.get(Point(self.function, number), ()) + partitions.get(Point(self.function, ANYWHERE), ())

    def _join_two(self, states: list[State], places: tuple[Place, ...]) -> None:
        """Make one of two of the same kind: of the newest and the last one before it, of the same shape if there is
        any."""
        self.attempt.joined = True
        newest = states.pop()
        self.attempt.wait(-1)
        kind, shape = _kind(newest, places), _shape(newest)
        alike = [n for n in range(len(states) - 1, -1, -1) if _kind(states[n], places) == kind]
        partner = next((n for n in alike if _shape(states[n]) == shape), alike[0])
        other = states[partner]
        states[partner] = joined = join(other, newest, self.fresh)
        if other.past is not None and newest.past is not None:
            arrivals = (*other.past.arrivals, *newest.past.arrivals)
            joined.past = replace(other.past, state=joined.copy(), arrivals=arrivals)


def _kind(state: State, places: tuple[Place, ...]) -> Hashable:
    """States that differ in it are not joined."""
    held_references = state.held_references()
    return (held_references, *[place.held(state) for place in places]) if places else held_references


def _shape(state: State) -> tuple[object, ...]:
    """What joins well: the same kinds of value in the same registers."""
    return tuple(
        (value.kind, value.map, value.offset) if type(value) is Pointer else type(value) for value in state.registers
    )
