"""What each instruction demands of the state before it: a table by instruction type, read by `explore`.

A demand either holds, or raises a Violation that says in words what is missing. What an instruction then does to the
state is in `transfer`, and may rely on its demands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from appliance.ebpf.instructions import (
    FRAME_POINTER,
    Alu,
    Atomic,
    Branch,
    ByteSwap,
    CallFunction,
    CallHelper,
    CallKernel,
    CallRegister,
    Exit,
    Instruction,
    Jump,
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
from appliance.ebpf.opcodes import AluOp, AtomicOp, Condition
from appliance.ebpf.spec import MapType
from appliance.verifier.calls import demand_call
from appliance.verifier.environment import Environment
from appliance.verifier.holdings import demand_no_lock, demand_no_record
from appliance.verifier.memory import demand_access, demand_alignment, demand_order
from appliance.verifier.rejections import Rejection
from appliance.verifier.report import Violation
from appliance.verifier.requests import Purpose
from appliance.verifier.scalar import Scalar
from appliance.verifier.state import State
from appliance.verifier.transfer import operand
from appliance.verifier.values import (
    APP_ID_KINDS,
    END_KINDS,
    HELD_SOCKETS,
    LENT_KINDS,
    NULLABLE,
    PACKET_KINDS,
    STALE,
    STRUCTURE_KINDS,
    ZERO,
    Kind,
    Pointer,
    Value,
    is_lost,
)

LEGACY_LOADS = "legacy_loads"  # the family of hooks whose programs may use them (may_access_skb of Linux)

KNOWS_ADDRESSES = "tracing"  # the family of hooks whose programs may read all of the kernel's memory: none is a secret

Demand: TypeAlias = Callable[[Environment, State, Any], None]

# A pointer stays this close to its region: any 32-bit number may be added, and no address is near enough to zero or to
# 2**64 for that to wrap.
FARTHEST = 1 << 33

_ORDERS = frozenset({Condition.GT, Condition.GE, Condition.LT, Condition.LE})

# Pointers that have no distance to each other.
_PLACELESS = frozenset({Kind.MAP, Kind.FUNCTION, *LENT_KINDS, *HELD_SOCKETS, *NULLABLE})
_UNMOVED = frozenset({Kind.MAP, Kind.FUNCTION, *LENT_KINDS, *HELD_SOCKETS, *END_KINDS})

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


def _written(register: int) -> None:
    if register == FRAME_POINTER:
        raise Violation(
            Rejection.FRAME_POINTER,
            "writes r10, the frame pointer, which may only be read",
            "copy it first, and move the copy: `r2 = r10`, `r2 += -8`",
        )


def _operand(state: State, source: Operand) -> Value:
    """The second operand's value."""
    return initialised(state, source.number) if type(source) is Register else operand(state, source)


def _is_stale(state: State, *operands: Operand) -> bool:
    """Whether all of them are pointers into the packet as it was: they may be kept, and subtracted."""
    return all(type(each) is Register and state.registers[each.number] == STALE for each in operands)


def _number(state: State, register: int, action: str) -> None:
    value = initialised(state, register)
    if type(value) is Pointer:
        raise Violation(
            Rejection.POINTER_ARITHMETIC,
            f"{action} r{register}, which is {value}: only numbers may be used so",
            "of pointers, only `pointer + number`, `pointer - number` and `pointer - pointer` keep their meaning",
            registers=(register,),
        )


def _is_secret(value: Value) -> bool:
    """Whether the program must not learn the number that it is."""
    return type(value) is Pointer and value.kind not in STRUCTURE_KINDS


def _move(environment: Environment, state: State, instruction: Move) -> None:
    _written(instruction.dst)
    if instruction.width == 64 and not instruction.sign_bits and _is_stale(state, instruction.source):
        return
    value = _operand(state, instruction.source)
    if type(value) is Pointer and (instruction.width == 32 or instruction.sign_bits) and _is_secret(value):
        raise Violation(
            Rejection.PARTIAL_POINTER,
            f"copies a part of {value}, which would lose what it points to",
            "copy pointers whole; those of the packet are cast at once: `(void *)(long)ctx->data`",
        )


def _alu(environment: Environment, state: State, instruction: Alu) -> None:
    _written(instruction.dst)
    if instruction.op is AluOp.SUB and _is_stale(state, Register(instruction.dst), instruction.source):
        return
    dst = initialised(state, instruction.dst)
    source = _operand(state, instruction.source)
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


def _negate(environment: Environment, state: State, instruction: Negate) -> None:
    _written(instruction.dst)
    _number(state, instruction.dst, "negates")


def _byte_swap(environment: Environment, state: State, instruction: ByteSwap) -> None:
    _written(instruction.dst)
    _number(state, instruction.dst, "swaps the bytes of")


def _load(environment: Environment, state: State, instruction: Load) -> None:
    _written(instruction.dst)
    pointer = demand_access(environment, state, instruction.base, instruction.offset, instruction.size, Purpose.READ)
    if pointer.kind is Kind.CONTEXT and instruction.signed:
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            "reads the context with sign extension, which its fields do not have",
            "read the field into an unsigned variable, and convert that",
        )
    if instruction.ordered:
        demand_order(pointer, instruction, "reads")


def _store(environment: Environment, state: State, instruction: Store) -> None:
    stale = _is_stale(state, instruction.source)
    value = STALE if stale else _operand(state, instruction.source)
    pointer = demand_access(environment, state, instruction.base, instruction.offset, instruction.size, Purpose.WRITE)
    if stale and pointer.kind is not Kind.STACK:
        _operand(state, instruction.source)
    if instruction.ordered:
        demand_order(pointer, instruction, "writes")
    if type(value) is not Pointer or not _is_secret(value):
        return
    if pointer.kind is not Kind.STACK and KNOWS_ADDRESSES not in environment.spec.hook.families:
        raise Violation(
            Rejection.POINTER_LEAK,
            f"stores {value} where it can be seen outside of the program",
            "pointers may be kept in registers and on the stack only; store what they point to",
        )
    if pointer.kind is Kind.STACK and (instruction.size != 8 or pointer.variable.constant is None):
        raise Violation(
            Rejection.PARTIAL_POINTER,
            f"saves {value} in part, or at a variable place of the stack",
            "save pointers whole, in variables that are declared as pointers, not as `__u32`",
        )


def _atomic(environment: Environment, state: State, instruction: Atomic) -> None:
    _number(state, instruction.src, "atomically updates memory with")
    if instruction.op is AtomicOp.CMPXCHG:
        _number(state, 0, "compares memory with")
    if instruction.fetch:
        _written(instruction.src)
    pointer = demand_access(environment, state, instruction.base, instruction.offset, instruction.size, Purpose.UPDATE)
    demand_alignment(pointer, instruction, "atomically updates")


def _branch(environment: Environment, state: State, instruction: Branch) -> None:
    dst = initialised(state, instruction.dst)
    source = _operand(state, instruction.source)
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
    if not (_is_secret(a) or _is_secret(b)):
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


def _call_function(environment: Environment, state: State, instruction: CallFunction) -> None:
    demand_no_lock(environment, state, "calls a function")
    environment.frames.demand_another()


def _call_register(environment: Environment, state: State, instruction: CallRegister) -> None:
    callee = initialised(state, instruction.register)
    if type(callee) is not Pointer or callee.kind is not Kind.FUNCTION:
        raise Violation(
            Rejection.CALL_TARGET,
            f"calls r{instruction.register}, which is {callee}: it must be a function of the program",
            "assign the function's name, and nothing else, on every path to the call",
        )
    demand_no_lock(environment, state, "calls a function")
    environment.frames.demand_another()


def _exit(environment: Environment, state: State, instruction: Exit) -> None:
    demand_no_lock(environment, state, "returns")
    if state.depth:
        result = state.registers[0]
        if type(result) is Pointer and result.kind is Kind.STACK and result.id == state.depth:
            raise Violation(
                Rejection.STACK_OF_CALLEE,
                "returns a pointer to its own stack, which is gone then",
                "let the caller pass the memory",
            )
        return
    demand_no_record(environment, state, "ends the program")
    if environment.spec.hook.answers_nothing:
        return
    if is_lost(state.registers[0]):
        raise Violation(
            Rejection.VERDICT,
            "returns without a verdict: nothing was written to r0 on this path",
            "end every path with one",
        )
    value = initialised(state, 0)
    if isinstance(value, Pointer):
        raise Violation(
            Rejection.POINTER_LEAK,
            f"returns {value}, which would tell its address",
            "return one of the hook's verdicts",
        )
    hook = environment.spec.hook
    low, high = min(hook.verdicts), max(hook.verdicts)
    least, most = (value.low.smin, value.low.smax) if low < 0 else (value.whole.umin, value.whole.umax)
    if not hook.any_number and not low <= least <= most <= high:
        verdicts = f"{low} to {high}" if low < high else f"always {low}"
        raise Violation(
            Rejection.VERDICT,
            f"returns {_as_returned(value)}, but a verdict of hook `{hook.name}` is {verdicts}",
            f"return constants, or bound the number on every path: `if (verdict > {high}) verdict = …`",
        )


def _as_returned(value: Scalar) -> str:
    """The number in words; a constant as the `int` that a program in C returned."""
    low = value.low
    return str(low.smin) if value.constant is not None and low.smin == low.smax else str(value)


def _constant(environment: Environment, state: State, instruction: LoadConstant) -> None:
    _written(instruction.dst)


def _function(environment: Environment, state: State, instruction: LoadFunction) -> None:
    _written(instruction.dst)


def _map(environment: Environment, state: State, instruction: LoadMap) -> None:
    _written(instruction.dst)
    environment.declared(instruction.map)


def _map_value(environment: Environment, state: State, instruction: LoadMapValue) -> None:
    _written(instruction.dst)
    spec = environment.declared(instruction.map)
    if spec.type is not MapType.ARRAY:
        what = f"takes the address of a value of map `{instruction.map}`, whose values have no fixed places"
        raise Violation(Rejection.MAP_TYPE, f"{what}: its type is {spec.type.value}", "look the value up")
    if not 0 <= instruction.offset < max(spec.value_size, 1):
        raise Violation(
            Rejection.MAP_VALUE_BOUNDS,
            f"takes the address of byte {instruction.offset} of map `{instruction.map}`, "
            f"whose value has {spec.value_size} bytes",
            "name a variable that is in this object, or look the value up",
        )


def _legacy(environment: Environment, state: State, instruction: LegacyPacketLoad) -> None:
    """A load from the packet that ends the function (or the program) with 0 where there are no such bytes."""
    if LEGACY_LOADS not in environment.spec.hook.families:
        raise Violation(
            Rejection.INSTRUCTION_UNSUPPORTED,
            "uses a legacy packet load, which is not supported yet",
            "read the packet through `ctx->data` instead",
            unsupported=True,
        )
    context = initialised(state, 6)
    if context != Pointer(Kind.CONTEXT):
        raise Violation(
            Rejection.HELPER_ARGUMENT,
            f"uses a legacy packet load with {context} in r6, which must be the context",
            "copy it there at the start of the program: `r6 = r1`",
        )
    if instruction.index is not None:
        _number(state, instruction.index, "loads from the packet at")
    demand_no_lock(environment, state, "uses a legacy packet load")
    demand_no_record(environment, state, "may end the program in a legacy packet load")


def _nothing(environment: Environment, state: State, instruction: Instruction) -> None:
    """Demands nothing."""


def _kernel_call(environment: Environment, state: State, instruction: CallKernel) -> None:
    raise Violation(
        Rejection.INSTRUCTION_UNSUPPORTED,
        f"calls the kernel's function {instruction.name or instruction.btf_id}, which is not supported yet",
        "call helpers instead",
        unsupported=True,
    )


DEMANDS: dict[type, Demand] = {
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
    Jump: _nothing,
    Branch: _branch,
    CallHelper: demand_call,
    Exit: _exit,
    LegacyPacketLoad: _legacy,
    LoadFunction: _function,
    CallFunction: _call_function,
    CallRegister: _call_register,
    CallKernel: _kernel_call,
}
