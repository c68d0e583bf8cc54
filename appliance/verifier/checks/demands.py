"""What each instruction demands of the state before it: a table by instruction type, read by `explore`.

A demand either holds, or raises a Violation that says in words what is missing. What an instruction then does to the
state is in `transfer`, and may rely on its demands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from appliance.ebpf.isa.instructions import (
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
    Store,
)
from appliance.ebpf.isa.opcodes import AtomicOp
from appliance.ebpf.map_types import MapType
from appliance.verifier.checks.arithmetic import demand_alu, demand_branch, demand_byte_swap, demand_move, demand_negate
from appliance.verifier.checks.calls.helper_calls import demand_call
from appliance.verifier.checks.memory.access import demand_access
from appliance.verifier.checks.memory.alignment import demand_alignment, demand_order
from appliance.verifier.checks.memory.requests import Purpose
from appliance.verifier.checks.operands import (
    KNOWS_ADDRESSES,
    demand_number,
    demand_operand,
    demand_written,
    initialised,
    is_secret,
    is_stale,
)
from appliance.verifier.checks.references import demand_no_lock, demand_no_record
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import STALE, Kind, Pointer, is_lost
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State

LEGACY_LOADS = "legacy_loads"  # the family of hooks whose programs may use them (may_access_skb of Linux)

Demand: TypeAlias = Callable[[Environment, State, Any], None]


def _load(environment: Environment, state: State, instruction: Load) -> None:
    demand_written(instruction.dst)
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
    stale = is_stale(state, instruction.source)
    value = STALE if stale else demand_operand(state, instruction.source)
    pointer = demand_access(environment, state, instruction.base, instruction.offset, instruction.size, Purpose.WRITE)
    if stale and pointer.kind is not Kind.STACK:
        demand_operand(state, instruction.source)
    if instruction.ordered:
        demand_order(pointer, instruction, "writes")
    if type(value) is not Pointer or not is_secret(value):
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
    demand_number(state, instruction.src, "atomically updates memory with")
    if instruction.op is AtomicOp.CMPXCHG:
        demand_number(state, 0, "compares memory with")
    if instruction.fetch:
        demand_written(instruction.src)
    pointer = demand_access(environment, state, instruction.base, instruction.offset, instruction.size, Purpose.UPDATE)
    demand_alignment(pointer, instruction, "atomically updates")


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
    if environment.spec.hook.ignores_return:
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
    if not hook.any_return and not low <= least <= most <= high:
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
    demand_written(instruction.dst)


def _function(environment: Environment, state: State, instruction: LoadFunction) -> None:
    demand_written(instruction.dst)


def _map(environment: Environment, state: State, instruction: LoadMap) -> None:
    demand_written(instruction.dst)
    environment.declared(instruction.map)


def _map_value(environment: Environment, state: State, instruction: LoadMapValue) -> None:
    demand_written(instruction.dst)
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
        demand_number(state, instruction.index, "loads from the packet at")
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
    Alu: demand_alu,
    Move: demand_move,
    Negate: demand_negate,
    ByteSwap: demand_byte_swap,
    Load: _load,
    Store: _store,
    Atomic: _atomic,
    LoadConstant: _constant,
    LoadMap: _map,
    LoadMapValue: _map_value,
    Jump: _nothing,
    Branch: demand_branch,
    CallHelper: demand_call,
    Exit: _exit,
    LegacyPacketLoad: _legacy,
    LoadFunction: _function,
    CallFunction: _call_function,
    CallRegister: _call_register,
    CallKernel: _kernel_call,
}
