"""What holds in both of two states, and when one includes the other."""

from __future__ import annotations

import itertools

from appliance.verifier.domains import scalar
from appliance.verifier.domains.links import WHOLE, Link
from appliance.verifier.domains.values import ZERO, Kind, Pointer, Value
from appliance.verifier.state.inclusion import includes
from appliance.verifier.state.invalidation import give_back
from appliance.verifier.state.join import join as join_states
from appliance.verifier.state.references import Reference
from appliance.verifier.state.state import State

NINE = scalar.constant(9)


def state(**registers: Value) -> State:
    made = State.entry()
    for name, value in registers.items():
        made.set(int(name[1:]), value)
    return made


def tie(made: State, name: int, *places: int) -> None:
    """The same number is at each of those places."""
    for place in places:
        made.link(place, Link(name, 0, WHOLE))


def join(a: State, b: State) -> State:
    names = itertools.count(100)
    joined = join_states(a, b, lambda: next(names))
    assert includes(joined, a)
    assert includes(joined, b)
    return joined


def test_numbers_join_to_their_hull() -> None:
    assert join(state(r2=ZERO), state(r2=NINE)).registers[2] == scalar.join(ZERO, NINE)


def test_what_only_one_state_has_is_forgotten() -> None:
    assert join(state(r2=ZERO), state()).registers[2] is None
    assert join(state(r2=NINE), state(r2=Pointer(Kind.CONTEXT))).registers[2] is None


def test_null_and_a_value_join_to_a_value_or_null() -> None:
    value = Pointer(Kind.MAP_VALUE, map="m")
    joined = join(state(r2=ZERO, r3=ZERO), state(r2=value, r3=value))
    held = joined.registers[2]
    assert isinstance(held, Pointer)
    assert held.kind is Kind.MAP_VALUE_OR_NULL
    assert joined.registers[3] == held


def test_values_of_two_maps_stay_apart_where_both_may_be_null() -> None:
    one, other = (Pointer(Kind.MAP_VALUE, map=name) for name in ("m", "n"))
    for joined in (
        join(state(r2=ZERO, r3=ZERO), state(r2=one, r3=other)),
        join(state(r2=one, r3=other), state(r2=ZERO, r3=ZERO)),
    ):
        two, three = joined.registers[2], joined.registers[3]
        assert isinstance(two, Pointer)
        assert isinstance(three, Pointer)
        assert (two.map, three.map) == ("m", "n")
        assert two.id != three.id, "the check of one makes values of the other's map of both"


def test_checks_of_different_lookups_stay_apart() -> None:
    one, other = (Pointer(Kind.MAP_VALUE_OR_NULL, id=n, map="m") for n in (1, 2))
    joined = join(state(r2=one, r3=one), state(r2=one, r3=other))
    two, three = joined.registers[2], joined.registers[3]
    assert isinstance(two, Pointer)
    assert isinstance(three, Pointer)
    assert two.id != three.id
    assert not includes(state(r2=one, r3=one), state(r2=one, r3=other))


def test_packet_pointers_keep_what_is_proved_behind_both() -> None:
    a, b = state(r2=Pointer(Kind.PACKET, 14)), state(r2=Pointer(Kind.PACKET, 18))
    a.learn_range(0, 34)
    b.learn_range(0, 40)
    joined = join(a, b)
    held = joined.registers[2]
    assert isinstance(held, Pointer)
    assert (held.least, held.most) == (14, 18)
    # 20 bytes behind the pointer on one path, 22 on the other
    assert joined.ranges[held.id] - held.offset == 20
    assert joined.ranges[0] == 34


def test_packet_pointers_keep_their_distance() -> None:
    joined = join(
        state(r2=Pointer(Kind.PACKET, 14), r3=Pointer(Kind.PACKET, 20)),
        state(r2=Pointer(Kind.PACKET, 18), r3=Pointer(Kind.PACKET, 24)),
    )
    two, three = joined.registers[2], joined.registers[3]
    assert isinstance(two, Pointer)
    assert isinstance(three, Pointer)
    assert (two.id, three.offset - two.offset) == (three.id, 6)


def test_a_longer_proof_does_not_include_a_shorter_one() -> None:
    long, short = state(r2=Pointer(Kind.PACKET)), state(r2=Pointer(Kind.PACKET))
    long.learn_range(0, 34)
    short.learn_range(0, 14)
    assert includes(short, long)
    assert not includes(long, short)


def test_what_is_proved_counts_where_no_pointer_holds_it() -> None:
    """The packet's start can be loaded from the context at any time."""
    long, short = state(), state()
    long.learn_range(0, 34)
    assert includes(short, long)
    assert not includes(long, short)


def test_frames_are_not_mixed() -> None:
    near, far = Pointer(Kind.STACK, -1032), Pointer(Kind.STACK, -1032, id=1)
    assert join(state(r2=near), state(r2=far)).registers[2] is None
    assert not includes(state(r2=far), state(r2=near))


def test_stack_cells_of_different_sizes_join_byte_by_byte() -> None:
    a, b = state(), state()
    a.store(-8, 8, scalar.constant(0x0000000500000007))
    b.store(-8, 4, scalar.constant(7))
    b.store(-4, 2, scalar.constant(5))
    joined = join(a, b)
    assert sorted(joined.stack) == [-8, -7, -6, -5, -4, -3]
    assert joined.stack[-8].value == scalar.constant(7)


def test_links_of_cells_of_different_sizes_do_not_hold() -> None:
    """Four bytes are r2 in one state, eight are in the other: no cell of the joined one may learn what r2 is."""
    word = scalar.unknown(4)
    a, b = state(r2=word), state(r2=word)
    a.store(-8, 4, word)
    a.store(-4, 4, word)
    b.store(-8, 8, word)
    for one in (a, b):
        tie(one, 1, 2, -8)
    joined = join(a, b)
    joined.learn(2, NINE)
    assert NINE not in [cell.value for cell in joined.stack.values()]
    assert -8 not in joined.links
    assert not includes(a, b)


def test_links_hold_if_they_hold_in_both() -> None:
    word = scalar.unknown(4)
    a, b = state(r2=word, r3=word, r4=word), state(r2=word, r3=word, r4=word)
    tie(a, 1, 2, 3, 4)
    tie(b, 2, 2, 3)
    joined = join(a, b)
    joined.learn(2, NINE)
    assert joined.registers[2:5] == [NINE, NINE, word]
    assert not includes(a, b)


def with_dynptrs(kind: Kind, *places: tuple[int, int]) -> State:
    """A state that has dynptrs of those names at those places, and a slice of each, from r2 on."""
    made = state()
    for register, (place, name) in enumerate(places, 2):
        made.put_dynptr(place, Pointer(kind, id=name, map="m" if kind is Kind.RING_DYNPTR else None))
        made.set(register, Pointer(Kind.SLICE, size=8, owner=name))
        if kind is Kind.RING_DYNPTR:
            made.hold(name, Reference(3, "m", may_be_null=False, dynptr=True))
    return made


def test_slices_stay_with_their_dynptrs() -> None:
    for kind in (Kind.DYNPTR, Kind.RING_DYNPTR):
        joined = join(with_dynptrs(kind, (-16, 5), (-32, 6)), with_dynptrs(kind, (-16, 7), (-32, 5)))
        first, second = joined.dynptr(-16), joined.dynptr(-32)
        assert first is not None
        assert second is not None
        assert first.id != second.id
        assert [slice_.owner for slice_ in joined.registers[2:4] if isinstance(slice_, Pointer)] == [
            first.id,
            second.id,
        ]
        give_back(joined, first.id)
        assert joined.registers[2] is None
        assert joined.registers[3] is not None


def test_a_slice_of_either_dynptr_ends_with_neither() -> None:
    a, b = with_dynptrs(Kind.RING_DYNPTR, (-16, 5), (-32, 6)), with_dynptrs(Kind.RING_DYNPTR, (-16, 5), (-32, 6))
    b.set(2, b.registers[3])
    joined = join(a, b)
    assert joined.registers[2] is None or joined.dynptr(-16) is None
    assert not includes(a, b)


def test_halves_of_different_dynptrs_are_none() -> None:
    a, b = with_dynptrs(Kind.DYNPTR, (-16, 5)), with_dynptrs(Kind.DYNPTR, (-24, 5))
    joined = join(a, b)
    assert joined.dynptr(-16) is None
    assert joined.dynptr(-24) is None
    assert not includes(a, b)


def test_what_must_be_given_back_is_no_other_dynptr() -> None:
    a, b = with_dynptrs(Kind.RING_DYNPTR, (-16, 5)), with_dynptrs(Kind.DYNPTR, (-16, 5))
    assert not includes(a, b)
    assert not includes(b, a)
