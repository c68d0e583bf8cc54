"""What may be read and written of registers, by any instruction."""

from __future__ import annotations

from appliance.ebpf.isa.instructions import FRAME_POINTER, Operand, Register
from appliance.verifier.domains import scalar
from appliance.verifier.domains.values import STALE, STRUCTURE_KINDS, Pointer, Value, is_lost
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.state import State

KNOWS_ADDRESSES = "tracing"  # the family of hooks whose programs may read all of the kernel's memory: none is a secret

_UNSET = (
    "set it on every path; a helper call destroys r1 to r5, and moving the packet, or submitting or discarding a "
    "record, or the end of a dynptr, makes every pointer to it dead"
)


def initialised(state: State, register: int) -> Value:
    """What the register holds. Violates if nothing was written to it on this path."""
    value = state.registers[register]
    if value is None or is_lost(value):
        raise Violation(
            Rejection.UNINITIALISED_REGISTER,
            f"reads r{register}, which holds nothing that may be read on this path",
            _UNSET,
            registers=(register,),
        )
    return value


def demand_written(register: int) -> None:
    """The register may be written."""
    if register == FRAME_POINTER:
        raise Violation(
            Rejection.FRAME_POINTER,
            "writes r10, the frame pointer, which may only be read",
            "copy it first, and move the copy: `r2 = r10`, `r2 += -8`",
        )


def demand_operand(state: State, source: Operand) -> Value:
    """The second operand's value."""
    return initialised(state, source.number) if type(source) is Register else operand(state, source)


def is_stale(state: State, *operands: Operand) -> bool:
    """Whether all of them are pointers into the packet as it was: they may be kept, and subtracted."""
    return all(type(each) is Register and state.registers[each.number] == STALE for each in operands)


def demand_number(state: State, register: int, action: str) -> None:
    """It holds a number; `action` says what is done with it."""
    value = initialised(state, register)
    if type(value) is Pointer:
        raise Violation(
            Rejection.POINTER_ARITHMETIC,
            f"{action} r{register}, which is {value}: only numbers may be used so",
            "of pointers, only `pointer + number`, `pointer - number` and `pointer - pointer` keep their meaning",
            registers=(register,),
        )


def is_secret(value: Value) -> bool:
    """Whether the program must not learn the number that it is."""
    return type(value) is Pointer and value.kind not in STRUCTURE_KINDS


def operand(state: State, source: Operand) -> Value:
    """The second operand's value."""
    if type(source) is Register:
        value = state.registers[source.number]
        assert value is not None
        return value
    return scalar.constant(source.value)  # type: ignore[union-attr]
