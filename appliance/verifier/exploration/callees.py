"""Instructions behind which other code runs before the next one does: functions of the program, or another program.

call f          f, once
callx r1        the function in the register, once
bpf_loop …      the function in r2, any number of times (`callbacks`)
tail_call       another program, in the place of the function that makes the call; or nothing, and then the next one
r0 = skb[…]     nothing; but behind the packet's end, the function that loads is over, with the answer 0
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from appliance.ebpf.isa.instructions import CallFunction, CallHelper, CallRegister, Instruction, LegacyPacketLoad
from appliance.helpers.limits import MAX_LOOPS
from appliance.helpers.prototypes import HelperPrototype
from appliance.verifier.checks.calls.effects import apply_call
from appliance.verifier.checks.calls.results import any_verdict, looked_up
from appliance.verifier.checks.references import demand_no_record
from appliance.verifier.checks.transfer import TRANSFERS
from appliance.verifier.control_flow.calls import TAIL_CALL, called_helper
from appliance.verifier.domains import scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import Kind, Pointer, Value
from appliance.verifier.exploration.attempt import Attempt
from appliance.verifier.loops.callbacks import Iterations
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.frames import leave
from appliance.verifier.state.invalidation import forget_packet
from appliance.verifier.state.state import State


class Explore(Protocol):
    """Explores a function of the program from a state in which r1 to r5 are its arguments. `call` is who calls it."""

    def __call__(self, function: int, state: State, call: int, *, callback: bool = False) -> list[State]:
        """The caller's states when the function has returned."""


@dataclass(frozen=True, slots=True)
class CallSite:
    """One such instruction, met in one state."""

    environment: Environment
    attempt: Attempt
    explore: Explore
    state: State
    index: int


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What can become of it: states before the next instruction, and states in which the caller has returned."""

    behind: Sequence[State]
    returned: Sequence[State] = ()


def follow_call(site: CallSite, instruction: Instruction) -> CallOutcome:
    """What can become of a state that meets the instruction, its demands being met. Raises Violation, or Refused."""
    if isinstance(instruction, CallFunction):
        return CallOutcome(site.explore(instruction.target, site.state, site.index))
    if isinstance(instruction, CallRegister):
        site.environment.facts.functions.add(site.index)
        return CallOutcome(site.explore(_function(site.state, instruction.register), site.state, site.index))
    if isinstance(instruction, LegacyPacketLoad):
        return _legacy_load(site, instruction)
    assert isinstance(instruction, CallHelper)
    prototype = called_helper(site.environment.platform.helpers, instruction)
    assert prototype is not None
    if prototype.name == TAIL_CALL:
        return _tail_call(site, instruction)
    return _call_back(site, instruction, prototype)


def _function(state: State, register: int) -> int:
    held = state.registers[register]
    assert type(held) is Pointer and held.kind is Kind.FUNCTION
    return held.id


def _tail_call(site: CallSite, instruction: CallHelper) -> CallOutcome:
    """The caller of a function that makes a tail call gets the other program's answer, and a packet that may have
    moved."""
    environment, state = site.environment, site.state
    if environment.frames.in_callback:
        raise Violation(
            Rejection.TAIL_CALL,
            "makes a tail call in a function that a helper calls back",
            "return 1 from the callback, and make the tail call behind the helper",
        )
    demand_no_record(environment, state, "makes a tail call")
    environment.frames.tail_call()
    replaced = state.copy()
    forget_packet(replaced)
    returned = _returned(replaced, any_verdict(environment))
    apply_call(environment, state, site.index, instruction)
    return CallOutcome([state], returned)


def _legacy_load(site: CallSite, instruction: LegacyPacketLoad) -> CallOutcome:
    """Where there are no such bytes the kernel leaves the function, as `exit` would (bpf_gen_ld_abs of
    net/core/filter.c)."""
    returned = _returned(site.state.copy(), scalar.constant(0))
    TRANSFERS[LegacyPacketLoad](site.environment, site.state, site.index, instruction)
    return CallOutcome([site.state], returned)


def _returned(state: State, answer: Scalar) -> list[State]:
    """What the caller of a function goes on with that ends here, with that answer; nothing in the program itself."""
    if not state.depth:
        return []
    state.set(0, answer)
    leave(state)
    return [state]


def _call_back(site: CallSite, instruction: CallHelper, prototype: HelperPrototype) -> CallOutcome:
    environment, state = site.environment, site.state
    if prototype.name not in CALLBACK_ARGUMENTS:
        what = f"calls `{prototype.name}`, and what it calls its function with is not known here"
        raise Violation(Rejection.CALLBACK, what, unsupported=True)
    arguments, most = CALLBACK_ARGUMENTS[prototype.name](environment, state)
    function = _function(state, prototype.callback_register)

    def iteration(before: State) -> list[State]:
        for register, value in enumerate(arguments(), 1):
            before.set(register, value)
        return site.explore(function, before, site.index, callback=True)

    iterations = Iterations(state, iteration, most, site.attempt.width, environment.fresh)
    outcomes = iterations.outcomes()
    site.attempt.joined |= iterations.joined
    for outcome in outcomes:
        for register in range(1, 6):
            outcome.set(register, state.registers[register])  # the helper's own, which no iteration can change
        apply_call(environment, outcome, site.index, instruction)
    return CallOutcome(outcomes)


# What a function is called with each time, r1 first, and how often at most.
_Calls: TypeAlias = tuple[Callable[[], tuple[Value | None, ...]], int]


def _of_loop(environment: Environment, state: State) -> _Calls:
    """The iteration's number, and what was passed along."""
    iterations = state.registers[1]
    assert type(iterations) is Scalar
    most = min(iterations.low.umax, MAX_LOOPS)
    arguments = (scalar.between(0, max(most - 1, 0)), state.registers[3])
    return lambda: arguments, most


def _of_map_elements(environment: Environment, state: State) -> _Calls:
    """The map, a key, its value, and what was passed along. A callback may put entries in for ever. Each call gets
    another value, and a key that is a copy, which is gone when the function returns."""
    held, along = state.registers[1], state.registers[3]
    assert type(held) is Pointer and held.map is not None
    name = held.map
    key = Pointer(Kind.MAP_KEY, id=state.depth + 1, map=name)
    return lambda: (held, key, looked_up(environment, name), along), MAX_LOOPS


# Which argument of the helper an argument of its function comes from; the others are made for it.
PASSED_ALONG: dict[str, dict[int, int]] = {
    "loop": {1: 1, 2: 3},
    "for_each_map_elem": {1: 1, 4: 3},
}

# What a helper calls its function with, r1 first, and how often at most, from the registers of the call. They hold
# nothing that a callback could end: numbers, maps, functions and places of the stack.
CALLBACK_ARGUMENTS: dict[str, Callable[[Environment, State], _Calls]] = {
    "loop": _of_loop,
    "for_each_map_elem": _of_map_elements,
}
