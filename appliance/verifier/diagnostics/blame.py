"""What to follow back from a demand that was not met: what it is about, not all that the instruction reads."""

from __future__ import annotations

from appliance.ebpf.isa.instructions import FRAME_POINTER, Atomic, CallHelper, CallRegister, Exit, Load, Store
from appliance.ebpf.isa.instructions import Register as RegisterOperand
from appliance.helpers.kernel.prototypes import EVERY_PROTOTYPE
from appliance.helpers.prototypes import ArgumentKind
from appliance.verifier.control_flow import liveness
from appliance.verifier.domains.values import FRAME_DISTANCE, Kind, Pointer
from appliance.verifier.exploration.refused import Refused
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.partitions import Part, Place
from appliance.verifier.state.state import State

# Demands that no other value could meet, and those that are about what is held.
ABOUT_NO_VALUE = frozenset(
    {
        Rejection.FRAME_POINTER,
        Rejection.HELPER_UNKNOWN,
        Rejection.HELPER_OF_OTHER_HOOK,
        Rejection.CALL_DEPTH,
        Rejection.TAIL_CALL,
        Rejection.MAP_MISSING,
        Rejection.NO_RETURN,
        Rejection.INSTRUCTION_UNSUPPORTED,
    }
)
_DYNPTRS = frozenset({ArgumentKind.DYNPTR, ArgumentKind.RING_DYNPTR})
ABOUT_HELD = frozenset({Rejection.UNRELEASED_REFERENCE, Rejection.LOCK_BALANCE})


def blamed(refused: Refused, state: State, environment: Environment) -> frozenset[Place]:
    """The places."""
    if refused.index >= len(environment.spec.instructions):
        return frozenset()
    if refused.violation.kind in ABOUT_NO_VALUE:
        return frozenset()
    if refused.violation.kind in ABOUT_HELD:
        held = [state.lock] if state.lock is not None else list(state.references.values())[:1]
        if held:
            return frozenset(Place(Part.HELD, one.at) for one in held)
    registers = _registers(refused, state, environment)
    if refused.violation.kind is Rejection.UNINITIALISED_STACK:
        unset = [place for register in registers for place in _unreadable(state, register, refused, environment)]
        if unset:
            return frozenset(unset)
    places = {Place(Part.REGISTER, register) for register in registers if register != FRAME_POINTER}
    if refused.violation.kind is Rejection.DYNPTR_ACCESS or _takes_dynptr(refused, environment):
        places |= {place for register in registers for place in _behind(state, register, refused, environment)}
    return frozenset(places)


def _registers(refused: Refused, state: State, environment: Environment) -> list[int]:
    if refused.violation.registers:
        return list(refused.violation.registers)
    instruction = environment.spec.instructions[refused.index]
    match instruction:
        case CallRegister(register=register):
            return [register]
        case Load(base=base) | Atomic(base=base):
            return [base]
        case Store(base=base, source=RegisterOperand(number)) if _is_of_source(refused, state, number):
            return [number]
        case Store(base=base):
            return [base]
        case Exit():
            return [0]
        case CallHelper(helper) if refused.violation.kind is Rejection.CALLBACK:
            prototype = EVERY_PROTOTYPE.get(environment.platform.helpers.get(helper, ""))
            return [prototype.callback_register] if prototype is not None and prototype.callback_register else []
        case CallHelper():
            reads = liveness.register_effects(instruction, environment.platform.helpers)[0]
            return [register for register in range(1, 6) if reads >> register & 1]
    reads = liveness.register_effects(instruction, environment.platform.helpers)[0]
    return [register for register in range(FRAME_POINTER) if reads >> register & 1]


_OF_SOURCE = frozenset({Rejection.POINTER_LEAK, Rejection.PARTIAL_POINTER})


def _is_of_source(refused: Refused, state: State, register: int) -> bool:
    """Whether a store was refused for what is stored."""
    return state.registers[register] is None or refused.violation.kind in _OF_SOURCE


def _unreadable(state: State, register: int, refused: Refused, environment: Environment) -> list[Place]:
    """The first byte of the stack behind the register that holds nothing."""
    low = _stack_at(state, register, refused, environment)
    bad = stack_cells.first_unreadable(state.stack, low, _end(low)) if low is not None else None
    return [Place(Part.STACK, bad, 1)] if bad is not None else []


def _behind(state: State, register: int, refused: Refused, environment: Environment) -> list[Place]:
    """The first bytes of the stack behind the register."""
    low = _stack_at(state, register, refused, environment)
    return [Place(Part.STACK, low, stack_cells.CELL)] if low is not None else []


def _takes_dynptr(refused: Refused, environment: Environment) -> bool:
    """Whether it is about an argument that must be a dynptr."""
    instruction = environment.spec.instructions[refused.index]
    if not isinstance(instruction, CallHelper) or not refused.violation.registers:
        return False
    prototype = EVERY_PROTOTYPE.get(environment.platform.helpers.get(instruction.helper, ""))
    return prototype is not None and prototype.arguments[refused.violation.registers[0] - 1] in _DYNPTRS


def _end(at: int) -> int:
    """Where the frame ends that has the byte."""
    return -(-at // FRAME_DISTANCE) * FRAME_DISTANCE


def _stack_at(state: State, register: int, refused: Refused, environment: Environment) -> int | None:
    """Where on the stack the instruction wants something through the register."""
    value = state.registers[register]
    if type(value) is not Pointer or value.kind is not Kind.STACK:
        return None
    instruction = environment.spec.instructions[refused.index]
    return value.least + (instruction.offset if isinstance(instruction, Load | Store) else 0)
