"""What a helper call does: memory that it writes, registers that it destroys, what it takes and gives back.

What r0 holds then is in `results`.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.ebpf.isa.instructions import CallHelper
from appliance.helpers.prototypes import ArgumentKind, HelperPrototype
from appliance.verifier.checks.calls.callable_helpers import prototype_of
from appliance.verifier.checks.calls.formats import Call, text_of
from appliance.verifier.checks.calls.results import RETURNS, Given
from appliance.verifier.domains import scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import HELD_KINDS, REGIONS, Kind, Pointer, Value
from appliance.verifier.program import Access, CallFacts
from appliance.verifier.state.environment import Environment, access_of
from appliance.verifier.state.invalidation import forget_lent_sockets, forget_packet, give_back
from appliance.verifier.state.references import Lock, Reference
from appliance.verifier.state.state import State


def apply_call(environment: Environment, state: State, index: int, instruction: CallHelper) -> None:
    """What the call does: memory that it writes, r1 to r5 lost, packet pointers dead if it moves them, r0 set."""
    prototype = prototype_of(environment, instruction)
    environment.facts.call(index, _facts(environment, state, prototype))
    name = _map_name(state, prototype)
    for register, kind in enumerate(prototype.arguments, 1):
        if kind in WRITTEN:
            _write(state, state.registers[register], WRITTEN[kind](state, register))
        elif kind is ArgumentKind.MAP_VALUE_OUT and name is not None:
            _write(state, state.registers[register], scalar.constant(environment.map(name).value_size))
        elif kind is ArgumentKind.NEW_DYNPTR:
            _make_dynptr(environment, state, index, state.registers[register], name)
    given = tuple(state.registers[1:6])
    dynptr = _dynptr_of(state, given[0])
    for register in range(6):
        state.set(register, None)
    if prototype.moves_packet:
        forget_packet(state)
    _change_references(state, index, prototype, given, dynptr)
    result = RETURNS[prototype.result](environment, prototype, name, given)
    if type(result) is Pointer and result.kind is Kind.SLICE_OR_NULL and dynptr is not None:
        result = result._replace(owner=dynptr.id)
    state.set(0, result)
    if type(result) is Pointer and result.kind in HELD_KINDS:
        state.hold(result.id, Reference(index, result.map))


def _make_dynptr(environment: Environment, state: State, index: int, place: Value | None, ring: str | None) -> None:
    """One that is about memory of the ring buffer, which must be given back whether there was room or not, or of a map
    value."""
    assert type(place) is Pointer
    dynptr = Pointer(Kind.DYNPTR if ring is None else Kind.RING_DYNPTR, id=environment.fresh(), map=ring)
    state.put_dynptr(place.least, dynptr)
    if ring is not None:
        state.hold(dynptr.id, Reference(index, ring, may_be_null=False, dynptr=True))


def _dynptr_of(state: State, place: Value | None) -> Pointer | None:
    """The dynptr that is there."""
    return state.dynptr(place.least) if type(place) is Pointer and place.kind is Kind.STACK else None


def _change_references(
    state: State, index: int, prototype: HelperPrototype, given: Given, dynptr: Pointer | None
) -> None:
    """Records, dynptrs and sockets are given back, a lock is taken or let go."""
    if ArgumentKind.RING_DYNPTR in prototype.arguments and dynptr is not None:
        give_back(state, dynptr.id)
        return
    first = given[0]
    if type(first) is Pointer and ArgumentKind.HELD_SOCKET in prototype.arguments:
        give_back(state, first.id)
        forget_lent_sockets(state)
        return
    if type(first) is not Pointer or first.map is None:
        return
    if ArgumentKind.RECORD in prototype.arguments:
        give_back(state, first.id)
    elif prototype.name == "spin_lock":
        state.lock = Lock(index, first.map, first.id)
    elif prototype.name == "spin_unlock":
        state.lock = None


def _less_of_both(state: State, register: int) -> Value | None:
    """The memory's size or that of the source behind it, if the same one is known to be the smaller; else a range."""
    size, source = state.registers[register + 1], state.registers[register + 3]
    if type(size) is not Scalar or type(source) is not Scalar:
        return size
    if size.constant is not None and source.constant is not None:
        return size if size.constant <= source.constant else source
    return scalar.between(0, size.whole.umax)


# The memory that a call writes, as the size of what becomes a number of the helper's.
WRITTEN: dict[ArgumentKind, Callable[[State, int], Value | None]] = {
    ArgumentKind.WRITABLE: lambda state, register: state.registers[register + 1],
    ArgumentKind.PARTLY_WRITABLE: _less_of_both,
    ArgumentKind.CHANGED: lambda state, register: state.registers[register + 1],
    ArgumentKind.CHANGED_U32: lambda state, register: scalar.constant(4),
    ArgumentKind.WRITABLE_OR_NULL: lambda state, register: state.registers[register + 1],
    ArgumentKind.WRITABLE_U64: lambda state, register: scalar.constant(8),
}


_FILLED = frozenset({ArgumentKind.MAP_VALUE_OUT, ArgumentKind.NEW_DYNPTR, ArgumentKind.RING_DYNPTR})


def written_arguments(environment: Environment, instruction: CallHelper) -> list[int]:
    """The registers that point to memory which the call writes."""
    kinds = enumerate(prototype_of(environment, instruction).arguments, 1)
    return [register for register, kind in kinds if kind in WRITTEN or kind in _FILLED]


def _map_name(state: State, prototype: HelperPrototype) -> str | None:
    """The map that the call is about: one that it is given, or the one that a record or a dynptr belongs to."""
    if ArgumentKind.RING_DYNPTR in prototype.arguments:
        dynptr = _dynptr_of(state, state.registers[1])
        return dynptr.map if dynptr is not None else None
    about = 1 if ArgumentKind.RECORD in prototype.arguments else prototype.map_register
    held = state.registers[about] if about else None
    return held.map if type(held) is Pointer else None


def _facts(environment: Environment, state: State, prototype: HelperPrototype) -> CallFacts:
    accesses: list[Access | None] = []
    for register in range(1, len(prototype.arguments) + 1):
        value = state.registers[register]
        known = type(value) is Pointer and value.kind in REGIONS
        accesses.append(access_of(value, 0, state.depth) if known and type(value) is Pointer else None)
    name = _map_name(state, prototype)
    text = text_of(Call(environment, state, prototype))
    maps = (name,) if name is not None else ()
    return CallFacts(prototype.name, maps, tuple(accesses), name in environment.inner, text)


def _write(state: State, target: Value | None, size: Value | None) -> None:
    """The helper fills the memory, also when it fails; only the stack's contents are followed."""
    if type(target) is not Pointer or target.kind is not Kind.STACK or type(size) is not Scalar:
        return
    if target.variable.constant is not None and size.constant is not None:
        state.fill(target.least, target.least + size.constant)
    else:
        state.blur(target.least, target.most + size.whole.umax)
