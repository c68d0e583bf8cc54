"""What moves and arithmetic do to the state: numbers are computed, pointers moved."""

from __future__ import annotations

from appliance.ebpf.isa.instructions import Alu, ByteSwap, Move, Negate, Register
from appliance.ebpf.isa.opcodes import AluOp
from appliance.verifier.checks.operands import operand
from appliance.verifier.domains import links, scalar
from appliance.verifier.domains.links import WHOLE, WORD, Cut, Form, Link
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import RANGED_KINDS, Kind, Pointer
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State


def apply_move(environment: Environment, state: State, index: int, i: Move) -> None:
    value = operand(state, i.source)
    if type(value) is Pointer:
        part = 4 if i.width == 32 else i.sign_bits // 8
        state.set(i.dst, scalar.unknown(part) if part and not i.sign_bits else scalar.UNKNOWN if part else value)
        return
    assert type(value) is Scalar
    link = link_of(environment, state, i.source.number, i.dst) if type(i.source) is Register else None
    if i.sign_bits:
        link = links.recut(link, value, Cut(i.sign_bits, Form.SIGN))
        value = scalar.sign_extend(value, i.sign_bits, 64)
    if i.width == 32:
        link = links.recut(link, value, WORD)
        value = scalar.truncate(value, 4)
    put_linked(state, i.dst, value, link)


def apply_alu(environment: Environment, state: State, index: int, i: Alu) -> None:
    dst, source = state.registers[i.dst], operand(state, i.source)
    if type(dst) is Scalar and type(source) is Scalar:
        link = links.computed(i.op, i.width, state.links.get(i.dst), dst, source)
        put_linked(state, i.dst, scalar.operate(i.op, i.width, dst, source), link)
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


def apply_negate(environment: Environment, state: State, index: int, i: Negate) -> None:
    value = state.registers[i.dst]
    assert type(value) is Scalar
    state.set(i.dst, scalar.negate(i.width, value))


def apply_byte_swap(environment: Environment, state: State, index: int, i: ByteSwap) -> None:
    value = state.registers[i.dst]
    assert type(value) is Scalar
    stays = i.order == "le"
    state.set(i.dst, scalar.truncate(value, i.bits // 8) if stays else scalar.swap_bytes(value, i.bits))


def link_of(environment: Environment, state: State, register: int, target: int) -> Link | None:
    """The link of the number in a register, from which another is made there or elsewhere: a new one if it has none.
    None if nothing would have it, as its number is gone, or needs none, as it is a constant."""
    link = state.links.get(register)
    number = state.registers[register]
    if link is None and register != target and type(number) is Scalar and number.bits.mask:
        link = Link(environment.fresh(), 0, WHOLE)
        state.link(register, link)
    return link


def put_linked(state: State, register: int, number: Scalar, link: Link | None) -> None:
    """A number that is made from another one, to which it is tied."""
    state.set(register, number)
    if link is not None and number.bits.mask:
        state.link(register, link)
