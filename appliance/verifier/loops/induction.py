"""Loops that are proved by counting their iterations instead of walking them.

Let c be a register or stack cell to which each iteration adds `low` at least and `high` at most (`recurrences`), low >
0, and let [least, most] be such that

    c is in [least, most] when iteration 0 begins, and
    an iteration that begins with c in [least, most] ends with c in [least, most],

where most + high does not wrap around. Then c is there for ever, and grows by `low` at least: no more than N = (most -
least) / low iterations can follow iteration 0. That ends the loop, and it bounds all that grows: what begins as v and
grows by d each iteration is in v + d * [0, N] whenever an iteration begins. (For one that counts down, the same upside
down.)

So one iteration is explored from states that say just this of what grows, and of the rest what holds in every
iteration: that is so if what the iteration ends in is included. Where it is not, they are joined with what came, later
widened, and the iteration is explored again. Should it lead from there to something bad, nothing is lost: the loop is
walked as it would have been.

`most` is guessed from what the loop compares c with; whether it holds, the iteration shows. What an iteration adds
depends on what its instructions write, and so it is looked at again when all states of the iteration were explored.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.ebpf.isa.opcodes import AluOp
from appliance.helpers.limits import MAX_LOOPS
from appliance.verifier.domains import scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import FRAME_DISTANCE, RANGED_KINDS, Kind, Pointer, Value
from appliance.verifier.loops.recurrences import Comparison, Recurrences
from appliance.verifier.loops.sums import Sum
from appliance.verifier.state.inclusion import includes
from appliance.verifier.state.join import join
from appliance.verifier.state.partitions import Part, Place
from appliance.verifier.state.state import State
from appliance.verifier.state.widen import widen

GUESSES = 3  # that are tried
ROUNDS = 6  # of one guess
JOINS = 2  # of those rounds, before what still changes is widened

# Pointers that mean the same in all states of a loop, wherever in their memory they point to.
_ALIKE = frozenset({Kind.STACK, Kind.MAP_VALUE, *RANGED_KINDS})


class Count(NamedTuple):
    """A guess: whenever an iteration begins, `place` holds a number from `least` to `most`, and there are so many
    `iterations`."""

    place: Place
    least: int
    most: int
    iterations: int


def counts(recurrences: Recurrences, start: State, around: int) -> list[Count]:
    """The guesses, if the first iteration begins in that state; the fewest iterations first. `around` are the
    iterations of the loops that it is in: there are no more of all of them together than of a `bpf_loop`."""
    found = {
        count for comparison in recurrences.comparisons for count in _counts(comparison, recurrences.increments, start)
    }
    few = (count for count in found if count.iterations * around <= MAX_LOOPS)
    return sorted(few, key=lambda count: count.iterations)[:GUESSES]


def _counts(comparison: Comparison, increments: Mapping[Place, Sum], start: State) -> Iterator[Count]:
    """What is compared is the counter plus something; what an iteration adds in all comes on top of that."""
    compared, place = comparison.sum, comparison.sum.place
    increment, value = increments.get(place), _held(start, place)
    limits = _limits(comparison.bound, start)
    if increment is None or type(value) is not Scalar or limits is None:
        return
    first, last = value.whole.umin, value.whole.umax
    room = 1 << increment.width
    if increment.low > 0:
        beyond = limits[1] - compared.low + increment.high
        for most in (beyond - 1, beyond):
            if last <= most < room - increment.high:
                yield Count(place, first, most, (most - first) // increment.low)
    elif increment.high < 0 and last < room // 2 and -increment.low < room // 4:
        beyond = limits[0] - compared.high + increment.low
        for least in (beyond + 1, beyond):
            if 0 <= least <= first:
                yield Count(place, least, last, (last - least) // -increment.high)


def _limits(bound: int | Place, start: State) -> tuple[int, int] | None:
    """The least and the greatest number that is compared with; None if it is no number."""
    if isinstance(bound, int):
        return bound, bound
    value = _held(start, bound)
    return (value.whole.umin, value.whole.umax) if type(value) is Scalar else None


def _held(state: State, place: Place) -> Value | None:
    """What is in a place of the state's innermost frame; of the stack, only in a cell of just that size."""
    if place.part is Part.REGISTER:
        return state.registers[place.at]
    cell = state.stack.get(_offset(state, place))
    return cell.value if cell is not None and cell.size == place.size else None


def _offset(state: State, place: Place) -> int:
    return place.at - FRAME_DISTANCE * state.depth


@dataclass(frozen=True, slots=True)
class Induction:
    """What a guess says of all that grows: the values when an iteration begins, and what is proved of new packet
    ids."""

    count: Count
    increments: Mapping[Place, Sum]
    values: Mapping[Place, Value]
    ranges: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, count: Count, recurrences: Recurrences, start: State, fresh: Callable[[], int]) -> Induction:
        """By that guess, for a first iteration that begins in `start`."""
        values: dict[Place, Value] = {}
        ranges: dict[int, int] = {}
        for place, sum_ in recurrences.increments.items():
            value, total = _held(start, place), _total(sum_, count.iterations)
            if type(value) is Scalar:
                values[place] = scalar.join(value, scalar.operate(AluOp.ADD, sum_.width, value, total))
            elif type(value) is Pointer and sum_.width == 64 and _is_alike(value):
                variable = scalar.operate(AluOp.ADD, 64, value.variable, total)
                name = value.id
                if value.kind in RANGED_KINDS:
                    name = fresh()
                    ranges[name] = start.proved(value.id) - total.whole.smax
                values[place] = value._replace(variable=variable, id=name)
        counter = values[count.place]
        assert type(counter) is Scalar
        bounded = scalar.meet(counter, scalar.between(count.least, count.most))
        values[count.place] = bounded if bounded is not None else counter
        return cls(count, {place: recurrences.increments[place] for place in values}, values, ranges)

    def begin(self, state: State) -> State:
        """The state, with what is said of all that grows."""
        begun = state.copy()
        for place, value in self.values.items():
            if place.part is Part.REGISTER:
                begun.set(place.at, value)
            else:
                begun.store(_offset(begun, place), place.size, value)
        for name, length in self.ranges.items():
            begun.learn_range(name, length)
        return begun

    def rest(self, state: State) -> State:
        """The state, with nothing said of it."""
        rest = state.copy()
        for place in self.values:
            if place.part is Part.REGISTER:
                rest.set(place.at, None)
            else:
                rest.drop(_offset(rest, place))
        return rest

    def holds(self, state: State) -> bool:
        """Whether an iteration that ends in this state may be followed by another: the counter is in its bounds, and
        what grows is what it was. A pointer into a packet that moved is none any more."""
        counter = _held(state, self.count.place)
        if type(counter) is not Scalar or not (
            self.count.least <= counter.whole.umin and counter.whole.umax <= self.count.most
        ):
            return False
        return all(_is_same(value, _held(state, place)) for place, value in self.values.items())

    def agrees(self, recurrences: Recurrences) -> bool:
        """Whether iterations add no more than what was thought."""
        return all(_is_within(recurrences.increments.get(place), sum_) for place, sum_ in self.increments.items())


def _total(sum_: Sum, iterations: int) -> Scalar:
    """What is added in so many iterations at most."""
    if sum_.low == sum_.high:
        return scalar.operate(AluOp.MUL, 64, scalar.constant(sum_.low), scalar.between(0, iterations))
    return scalar.between(min(sum_.low, 0) * iterations, max(sum_.high, 0) * iterations)


def _is_alike(pointer: Pointer) -> bool:
    return pointer.kind in _ALIKE and (pointer.kind is not Kind.MAP_VALUE or not pointer.id)


def _is_same(value: Value, later: Value | None) -> bool:
    """Whether both are numbers, or pointers into the same memory."""
    if type(value) is not Pointer or type(later) is not Pointer:
        return type(value) is type(later)
    same = later._replace(offset=value.offset, variable=value.variable)
    return same == value or (value.kind in RANGED_KINDS and same._replace(id=value.id) == value)


def _is_within(sum_: Sum | None, other: Sum) -> bool:
    return sum_ is not None and sum_.width == other.width and other.low <= sum_.low and sum_.high <= other.high


def settled(
    induction: Induction,
    states: list[State],
    iteration: Callable[[list[State]], list[State]],
    kind: Callable[[State], Hashable],
    fresh: Callable[[], int],
) -> bool:
    """Whether there are states, those among them, that an iteration from any of them ends in again. `iteration`
    explores one, and gives what it ends in; the last one that was explored began in all of them. States of one `kind`
    may be joined."""
    begun = [induction.begin(state) for state in states]
    for round_ in range(ROUNDS):
        ends = iteration([state.copy() for state in begun])
        if not all(induction.holds(end) for end in ends):
            return False
        rests = [induction.rest(state) for state in begun]
        new = [end for end in ends if not any(includes(rest, end) for rest in rests)]
        if not new:
            return True
        combine = join if round_ < JOINS else widen
        for end in new:
            partner = next((n for n, state in enumerate(begun) if kind(state) == kind(end)), None)
            if partner is None:
                begun.append(induction.begin(end))
            else:
                begun[partner] = induction.begin(combine(begun[partner], end, fresh))
    return False
