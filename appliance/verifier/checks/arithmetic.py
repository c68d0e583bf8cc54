"""What arithmetic and comparisons demand: numbers may do anything, pointers little.

pointer + number, pointer - number      a pointer into the same memory, if it stays near
pointer - pointer                       a number, if both are into the same memory
pointer < pointer, == 0                 an order, or whether there is anything
"""

from __future__ import annotations

from appliance.ebpf.isa.instructions import Alu, Branch, ByteSwap, Move, Negate, Register
from appliance.ebpf.isa.opcodes import AluOp, Condition
from appliance.verifier.checks.operands import (
    demand_number,
    demand_operand,
    demand_written,
    initialised,
    is_secret,
    is_stale,
)
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import (
    APP_ID_KINDS,
    END_KINDS,
    HELD_SOCKETS,
    LENT_KINDS,
    NULLABLE,
    PACKET_KINDS,
    ZERO,
    Kind,
    Pointer,
    Value,
)
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State

# A pointer stays this close to its region: any 32-bit number may be added, and no address is near enough to zero or to
# 2**64 for that to wrap.
FARTHEST = 1 << 33

_ORDERS = frozenset({Condition.GT, Condition.GE, Condition.LT, Condition.LE})

# Pointers that have no distance to each other.
_PLACELESS = frozenset({Kind.MAP, Kind.FUNCTION, *LENT_KINDS, *HELD_SOCKETS, *NULLABLE})
_UNMOVED = frozenset({Kind.MAP, Kind.FUNCTION, *LENT_KINDS, *HELD_SOCKETS, *END_KINDS})


def demand_move(environment: Environment, state: State, instruction: Move) -> None:
    """Pointers are copied whole."""
    demand_written(instruction.dst)
    if instruction.width == 64 and not instruction.sign_bits and is_stale(state, instruction.source):
        return
    value = demand_operand(state, instruction.source)
    if type(value) is Pointer and (instruction.width == 32 or instruction.sign_bits) and is_secret(value):
        raise Violation(
            Rejection.PARTIAL_POINTER,
            f"copies a part of {value}, which would lose what it points to",
            "copy pointers whole; those of the packet are cast at once: `(void *)(long)ctx->data`",
        )


def demand_alu(environment: Environment, state: State, instruction: Alu) -> None:
    """Of pointers, a number may be added and subtracted, and others into the same memory subtracted."""
    demand_written(instruction.dst)
    if instruction.op is AluOp.SUB and is_stale(state, Register(instruction.dst), instruction.source):
        return
    dst = initialised(state, instruction.dst)
    source = demand_operand(state, instruction.source)
    if type(dst) is Scalar and type(source) is Scalar:
        return
    if type(dst) is Pointer and type(source) is Pointer and instruction.op in (AluOp.ADD, AluOp.SUB):
        _pointer_difference(instruction, dst, source)
        return
    if instruction.width == 32 or instruction.op not in (AluOp.ADD, AluOp.SUB):
        pointer = dst if type(dst) is Pointer else source
        raise Violation(
            Rejection.POINTER_ARITHMETIC,
            f"computes `{instruction.op.value}`"
            + (" in 32 bits" if instruction.width == 32 else "")
            + f" with {pointer}: only 64-bit `+` and `-` keep a pointer",
            "compute the offset as a number first, bound it, and add it to the pointer last",
        )
    if type(dst) is Pointer:
        assert type(source) is Scalar
        _moved(environment, dst, source)
    elif instruction.op is AluOp.SUB:
        raise Violation(
            Rejection.POINTER_ARITHMETIC,
            f"subtracts {source} from a number",
            "subtract the number from the pointer instead",
        )
    else:
        assert type(source) is Pointer and type(dst) is Scalar
        _moved(environment, source, dst)


def _pointer_difference(instruction: Alu, dst: Pointer, source: Pointer) -> None:
    if instruction.op is AluOp.ADD or not _same_memory(dst, source) or dst.kind in _PLACELESS:
        raise Violation(
            Rejection.POINTER_ARITHMETIC,
            f"computes `{instruction.op.value}` of {dst} and {source}",
            "only pointers into the same memory may be subtracted from each other, and none may be added",
        )


def _moved(environment: Environment, pointer: Pointer, by: Scalar) -> None:
    if pointer.kind in NULLABLE:
        raise Violation(
            Rejection.NULL_POINTER,
            f"moves a pointer that may be null: {pointer.why_null}",
            "check it first: `if (!pointer) return …`",
        )
    whole = pointer.kind is Kind.CONTEXT and environment.spec.hook.runs_here  # else helpers read somewhere in it
    if pointer.kind in _UNMOVED or (whole and by.constant is None):
        raise Violation(
            Rejection.POINTER_ARITHMETIC,
            f"moves {pointer}, which must stay as it is",
            "keep the pointer, and compute with a number beside it",
        )
    if max(abs(by.whole.smin), abs(by.whole.smax), abs(pointer.least), abs(pointer.most)) >= FARTHEST:
        raise Violation(
            Rejection.UNBOUNDED_OFFSET,
            f"moves {pointer} by {by}, which may be too far",
            "bound the number first: compare it with a constant, or mask it, in the type that is added",
        )


def demand_negate(environment: Environment, state: State, instruction: Negate) -> None:
    """Numbers only."""
    demand_written(instruction.dst)
    demand_number(state, instruction.dst, "negates")


def demand_byte_swap(environment: Environment, state: State, instruction: ByteSwap) -> None:
    """Numbers only."""
    demand_written(instruction.dst)
    demand_number(state, instruction.dst, "swaps the bytes of")


def demand_branch(environment: Environment, state: State, instruction: Branch) -> None:
    """Pointers are compared whole, and with what they have an order to."""
    dst = initialised(state, instruction.dst)
    source = demand_operand(state, instruction.source)
    if instruction.width == 32 and (type(dst) is Pointer or type(source) is Pointer):
        raise Violation(
            Rejection.POINTER_COMPARISON,
            "compares the low half of a pointer, which means nothing",
            "compare pointers whole",
        )
    if type(dst) is not Scalar or type(source) is not Scalar:
        _comparable(instruction.condition, dst, source)


def _comparable(condition: Condition, a: Value, b: Value) -> None:
    """Pointers are the same or not, or null or not; those into one memory have an order, too."""
    both = type(a) is Pointer and type(b) is Pointer
    if not (is_secret(a) or is_secret(b)):
        return
    if condition in (Condition.EQ, Condition.NE):
        if not both and ZERO not in (a, b):
            raise Violation(
                Rejection.POINTER_COMPARISON,
                f"compares {a} with {b}: of all numbers, pointers may be compared with 0 only",
            )
    elif not both or condition not in _ORDERS or not _same_memory(a, b):
        raise Violation(
            Rejection.POINTER_COMPARISON,
            f"asks whether {a} `{condition.value}` {b}, which have no order",
            "only pointers into the same memory are before or behind each other, and unsigned",
        )


def _same_memory(a: Value, b: Value) -> bool:
    assert isinstance(a, Pointer)
    assert isinstance(b, Pointer)
    for kinds in (PACKET_KINDS, APP_ID_KINDS):
        if a.kind in kinds:
            return b.kind in kinds
    return (a.kind, a.map, a.id, a.owner) == (b.kind, b.map, b.id, b.owner)
