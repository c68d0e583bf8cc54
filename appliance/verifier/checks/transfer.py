"""What each instruction does to the state, its demands being met: a table by instruction type, read by `explore`.

Branches are not here: they do nothing but choose, and what the choice teaches is in `conditions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from appliance.ebpf.isa.instructions import (
    Alu,
    Atomic,
    ByteSwap,
    CallHelper,
    LegacyPacketLoad,
    Load,
    LoadConstant,
    LoadFunction,
    LoadMap,
    LoadMapValue,
    Move,
    Negate,
    Operand,
    Register,
    Store,
)
from appliance.ebpf.isa.opcodes import AluOp, AtomicOp
from appliance.ebpf.spec import MapType
from appliance.verifier.checks.helper_calls import apply_call
from appliance.verifier.checks.kernel_structures import kernel_types, loaded
from appliance.verifier.domains import links, scalar
from appliance.verifier.domains.links import WHOLE, WORD, Cut, Form, Link
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import (
    APP_ID_START,
    METADATA_START,
    NULLABLE,
    PACKET_START,
    RANGED_KINDS,
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

Transfer: TypeAlias = Callable[[Environment, State, int, Any], None]

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


def operand(state: State, source: Operand) -> Value:
    """The second operand's value."""
    if type(source) is Register:
        value = state.registers[source.number]
        assert value is not None
        return value
    return scalar.constant(source.value)  # type: ignore[union-attr]


def _move(environment: Environment, state: State, index: int, i: Move) -> None:
    value = operand(state, i.source)
    if type(value) is Pointer:
        part = 4 if i.width == 32 else i.sign_bits // 8
        state.set(i.dst, scalar.unknown(part) if part and not i.sign_bits else scalar.UNKNOWN if part else value)
        return
    assert type(value) is Scalar
    link = _link(environment, state, i.source.number, i.dst) if type(i.source) is Register else None
    if i.sign_bits:
        link = links.recut(link, value, Cut(i.sign_bits, Form.SIGN))
        value = scalar.sign_extend(value, i.sign_bits, 64)
    if i.width == 32:
        link = links.recut(link, value, WORD)
        value = scalar.truncate(value, 4)
    _put(state, i.dst, value, link)


def _link(environment: Environment, state: State, register: int, target: int) -> Link | None:
    """The link of the number in a register, from which another is made there or elsewhere: a new one if it has none.
    None if nothing would have it, as its number is gone, or needs none, as it is a constant."""
    link = state.links.get(register)
    number = state.registers[register]
    if link is None and register != target and type(number) is Scalar and number.bits.mask:
        link = Link(environment.fresh(), 0, WHOLE)
        state.link(register, link)
    return link


def _put(state: State, register: int, number: Scalar, link: Link | None) -> None:
    """A number that is made from another one, to which it is tied."""
    state.set(register, number)
    if link is not None and number.bits.mask:
        state.link(register, link)


def _alu(environment: Environment, state: State, index: int, i: Alu) -> None:
    dst, source = state.registers[i.dst], operand(state, i.source)
    if type(dst) is Scalar and type(source) is Scalar:
        link = links.computed(i.op, i.width, state.links.get(i.dst), dst, source)
        _put(state, i.dst, scalar.operate(i.op, i.width, dst, source), link)
    elif type(dst) is Pointer and type(source) is Pointer:
        difference = _difference(dst, source)
        state.set(i.dst, difference if i.width == 64 else scalar.truncate(difference, 4))
    elif type(dst) is Pointer and type(source) is Scalar:
        by = scalar.negate(64, source) if i.op is AluOp.SUB else source
        state.set(i.dst, _moved(environment, state, dst, by))
    elif type(dst) is Scalar and type(source) is Pointer:
        state.set(i.dst, _moved(environment, state, source, dst))


def _difference(a: Pointer, b: Pointer) -> Scalar:
    """Known if both have the same base and variable part."""
    if a.kind is b.kind and a.kind in RANGED_KINDS and a.id == b.id:
        return scalar.constant(a.offset - b.offset)
    return scalar.UNKNOWN


def _moved(environment: Environment, state: State, pointer: Pointer, by: Scalar) -> Pointer:
    """A constant moves the offset; anything else makes a new variable part, which for the packet has a new id."""
    if pointer.kind is Kind.ADDRESS:
        return pointer
    if by.constant is not None:
        return pointer._replace(offset=pointer.offset + by.whole.smin)
    variable = scalar.operate(AluOp.ADD, 64, pointer.variable, by)
    if pointer.kind not in RANGED_KINDS:
        return pointer._replace(variable=variable)
    name = environment.fresh()
    state.learn_range(name, state.proved(pointer.id) - by.whole.smax)
    return pointer._replace(variable=variable, id=name)


def _negate(environment: Environment, state: State, index: int, i: Negate) -> None:
    value = state.registers[i.dst]
    assert type(value) is Scalar
    state.set(i.dst, scalar.negate(i.width, value))


def _byte_swap(environment: Environment, state: State, index: int, i: ByteSwap) -> None:
    value = state.registers[i.dst]
    assert type(value) is Scalar
    stays = i.order == "le"
    state.set(i.dst, scalar.truncate(value, i.bits // 8) if stays else scalar.swap_bytes(value, i.bits))


def _load(environment: Environment, state: State, index: int, i: Load) -> None:
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
    _put(state, i.dst, value, link)


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


def _store(environment: Environment, state: State, index: int, i: Store) -> None:
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
        link = _link(environment, state, i.source.number, place) if type(i.source) is Register else None
        link = links.recut(link, value, Cut(8 * i.size, Form.ZERO))
        stored = scalar.truncate(value, i.size)
        state.store(place, i.size, stored)
        if link is not None and stored.bits.mask:
            state.link(place, link)
    else:
        whole = i.size == CELL
        state.store(pointer.least + i.offset, i.size, value if whole else scalar.unknown(i.size))


def _atomic(environment: Environment, state: State, index: int, i: Atomic) -> None:
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


def _legacy(environment: Environment, state: State, index: int, i: LegacyPacketLoad) -> None:
    for register in range(6):
        state.set(register, None)
    state.set(0, scalar.unknown(i.size))


def _constant(environment: Environment, state: State, index: int, i: LoadConstant) -> None:
    state.set(i.dst, scalar.constant(i.value))


def _map(environment: Environment, state: State, index: int, i: LoadMap) -> None:
    state.set(i.dst, Pointer(Kind.MAP, map=i.map))


def _map_value(environment: Environment, state: State, index: int, i: LoadMapValue) -> None:
    state.set(i.dst, Pointer(Kind.MAP_VALUE, i.offset, map=i.map))


def _function(environment: Environment, state: State, index: int, i: LoadFunction) -> None:
    state.set(i.dst, Pointer(Kind.FUNCTION, id=i.target))


def _call(environment: Environment, state: State, index: int, i: CallHelper) -> None:
    apply_call(environment, state, index, i)


TRANSFERS: dict[type, Transfer] = {
    Alu: _alu,
    Move: _move,
    Negate: _negate,
    ByteSwap: _byte_swap,
    Load: _load,
    Store: _store,
    Atomic: _atomic,
    LoadConstant: _constant,
    LoadMap: _map,
    LoadMapValue: _map_value,
    LoadFunction: _function,
    CallHelper: _call,
    LegacyPacketLoad: _legacy,
}
