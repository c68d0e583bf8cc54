"""What loads, stores and atomic updates do to the state."""

from __future__ import annotations

from collections.abc import Callable

from appliance.ebpf.isa.instructions import Atomic, LegacyPacketLoad, Load, Register, Store
from appliance.ebpf.isa.opcodes import AtomicOp
from appliance.ebpf.map_types import MapType
from appliance.verifier.checks.arithmetic_transfer import link_of, put_linked
from appliance.verifier.checks.kernel_structures import kernel_types, loaded
from appliance.verifier.checks.operands import operand
from appliance.verifier.domains import links, scalar
from appliance.verifier.domains.links import Cut, Form, Link
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import (
    APP_ID_START,
    METADATA_START,
    NULLABLE,
    PACKET_START,
    STRUCTURES,
    Kind,
    Pointer,
    Value,
)
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.environment import Environment, access_of
from appliance.verifier.state.stack import CELL
from appliance.verifier.state.state import State
from hooks.contracts.contract import FieldKind

_FIELD_POINTERS: dict[FieldKind, Pointer] = {
    FieldKind.PACKET_START: Pointer(Kind.PACKET, id=PACKET_START),
    FieldKind.PACKET_END: Pointer(Kind.PACKET_END),
    FieldKind.PACKET_META: Pointer(Kind.METADATA, id=METADATA_START),
    FieldKind.APP_ID_START: Pointer(Kind.APP_ID, id=APP_ID_START),
    FieldKind.APP_ID_END: Pointer(Kind.APP_ID_END),
    FieldKind.SOCKET: Pointer(Kind.SOCKET),
    FieldKind.SOCKET_OR_NULL: Pointer(Kind.SOCKET_OR_NULL),
    FieldKind.SOCKET_COMMON_OR_NULL: Pointer(Kind.SOCKET_COMMON_OR_NULL),
    FieldKind.TYPED: Pointer(Kind.TYPED),
    FieldKind.TYPED_OR_NULL: Pointer(Kind.TYPED_OR_NULL),
    FieldKind.TRUSTED: Pointer(Kind.TRUSTED),
    FieldKind.TRUSTED_OR_NULL: Pointer(Kind.TRUSTED_OR_NULL),
    FieldKind.TRACE_BUFFER: Pointer(Kind.TRACE_BUFFER),
    FieldKind.BUFFER_OR_NULL: Pointer(Kind.BUFFER_OR_NULL),
    FieldKind.READ_ONLY_BUFFER_OR_NULL: Pointer(Kind.READ_ONLY_BUFFER_OR_NULL),
}


def apply_load(environment: Environment, state: State, index: int, i: Load) -> None:
    pointer = state.registers[i.base]
    assert type(pointer) is Pointer
    environment.facts.access(index, access_of(pointer, i.offset, state.depth))
    value = _LOADS.get(pointer.kind, _load_unknown)(environment, state, pointer, i)
    if type(value) is not Scalar:
        state.set(i.dst, value)
        return
    link = _link_of_cell(state, pointer, i)
    if i.signed:
        link = links.recut(link, value, Cut(8 * i.size, Form.SIGN))
        value = scalar.sign_extend(value, 8 * i.size, 64)
    put_linked(state, i.dst, value, link)


def _link_of_cell(state: State, pointer: Pointer, i: Load) -> Link | None:
    """The link of the low bytes of a number on the stack."""
    if pointer.kind is not Kind.STACK or pointer.variable.constant is None:
        return None
    place = pointer.least + i.offset
    link = state.links.get(place)
    if link is None or state.stack[place].size < i.size:
        return None
    cell = state.stack[place].value
    assert type(cell) is Scalar
    return links.recut(link, cell, Cut(8 * i.size, Form.ZERO))


def _load_unknown(environment: Environment, state: State, pointer: Pointer, i: Load) -> Value:
    return scalar.unknown(i.size)


def _load_stack(environment: Environment, state: State, pointer: Pointer, i: Load) -> Value:
    if pointer.variable.constant is None:
        return scalar.unknown(i.size)
    value = stack_cells.read(state.stack, pointer.least + i.offset, i.size)
    assert value is not None
    return value


def _load_context(environment: Environment, state: State, pointer: Pointer, i: Load) -> Value:
    field = environment.spec.hook.context.field_at(pointer.least + i.offset, i.size)
    assert field is not None
    found = _FIELD_POINTERS.get(field.kind)
    if found is None:
        return scalar.unknown(i.size)
    if field.structure:
        found = found._replace(type=kernel_types(environment).named(field.structure))
    return found._replace(id=environment.fresh()) if found.kind in NULLABLE else found


def _load_structure(environment: Environment, state: State, pointer: Pointer, i: Load) -> Value:
    return loaded(environment, pointer, i.offset, i.size)


def _load_map_value(environment: Environment, state: State, pointer: Pointer, i: Load) -> Value:
    """A constant, if nobody can change it: read-only data of the program."""
    assert pointer.map is not None
    spec = environment.map(pointer.map)
    place = pointer.least + i.offset
    fixed = pointer.variable.constant is not None
    if fixed and spec.read_only and spec.type is MapType.ARRAY and spec.max_entries == 1 and len(spec.contents) == 1:
        value = spec.contents[0][1][place : place + i.size]
        if len(value) == i.size:
            return scalar.constant(int.from_bytes(value, "little"))
    return scalar.unknown(i.size)


_LOADS: dict[Kind, Callable[[Environment, State, Pointer, Load], Value]] = {
    Kind.STACK: _load_stack,
    Kind.CONTEXT: _load_context,
    Kind.MAP_VALUE: _load_map_value,
    **dict.fromkeys(STRUCTURES, _load_structure),
}


def apply_store(environment: Environment, state: State, index: int, i: Store) -> None:
    pointer = state.registers[i.base]
    assert type(pointer) is Pointer
    environment.facts.access(index, access_of(pointer, i.offset, state.depth))
    if pointer.kind is not Kind.STACK:
        return
    if pointer.variable.constant is None:
        state.blur(pointer.least + i.offset, pointer.most + i.offset + i.size)
        return
    value = operand(state, i.source)
    if type(value) is Scalar:
        place = pointer.least + i.offset
        link = link_of(environment, state, i.source.number, place) if type(i.source) is Register else None
        link = links.recut(link, value, Cut(8 * i.size, Form.ZERO))
        stored = scalar.truncate(value, i.size)
        state.store(place, i.size, stored)
        if link is not None and stored.bits.mask:
            state.link(place, link)
    else:
        whole = i.size == CELL
        state.store(pointer.least + i.offset, i.size, value if whole else scalar.unknown(i.size))


def apply_atomic(environment: Environment, state: State, index: int, i: Atomic) -> None:
    pointer = state.registers[i.base]
    assert type(pointer) is Pointer
    environment.facts.access(index, access_of(pointer, i.offset, state.depth))
    if pointer.kind is Kind.STACK:
        state.blur(pointer.least + i.offset, pointer.most + i.offset + i.size)
    old = scalar.unknown(i.size)
    if i.op is AtomicOp.CMPXCHG:
        state.set(0, old)
    elif i.fetch or i.op is AtomicOp.XCHG:
        state.set(i.src, old)


def apply_legacy(environment: Environment, state: State, index: int, i: LegacyPacketLoad) -> None:
    for register in range(6):
        state.set(register, None)
    state.set(0, scalar.unknown(i.size))
