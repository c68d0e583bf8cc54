"""When an access to memory is allowed: one rule per kind of pointer.

stack                       see `stack`
context                     see `context`
packet, metadata, app id    see `packet`
map value, map key          see `map_values`
record                      0 <= place, place + size <= the size that was reserved
slice                       the same with the size that was asked for; no atomics, as it may begin anywhere
kernel's                    see `kernel`
"""

from __future__ import annotations

from appliance.verifier.checks.memory.context import demand_context
from appliance.verifier.checks.memory.kernel import demand_buffer, demand_structure, socket_rule
from appliance.verifier.checks.memory.map_values import demand_live_key, demand_map_key, demand_map_value
from appliance.verifier.checks.memory.packet import ranged_rule
from appliance.verifier.checks.memory.requests import Purpose, Request, Rule, byte_words
from appliance.verifier.checks.memory.stack import demand_stack
from appliance.verifier.domains.values import NULLABLE, STRUCTURES, Kind, Pointer, Value
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State
from hooks.contracts.cgroup import SOCKET, SOCKET_COMMON, TCP_SOCKET


def demand_access(
    environment: Environment, state: State, register: int, offset: int, size: int, purpose: Purpose
) -> Pointer:
    """The pointer in `register`, through which `size` bytes at `offset` may be accessed for that purpose."""
    value = state.registers[register]
    if type(value) is not Pointer:
        raise _no_pointer(register, value, purpose)
    demand_memory(environment, state, Request(register, value, offset, size, purpose))
    return value


def demand_memory(environment: Environment, state: State, request: Request) -> None:
    """The same for a pointer that is known already; the request's register is where the program has it from."""
    _RULES[request.pointer.kind](environment, state, request)


def _no_pointer(register: int, value: Value | None, purpose: Purpose) -> Violation:
    if value is None:
        return Violation(
            Rejection.UNINITIALISED_REGISTER,
            f"{purpose.value} memory through r{register}, which holds nothing that may be read on this path",
            "set it on every path; a helper call destroys r1 to r5, and moving the packet its pointers: load again",
        )
    return Violation(
        Rejection.NO_POINTER,
        f"{purpose.value} memory through r{register}, which is no pointer but a number ({value})",
        "pointers come from the context, the stack and helpers, and stay pointers through + and - alone; probes read "
        "other addresses with probe_read_kernel and probe_read_user",
    )


def _record(environment: Environment, state: State, request: Request) -> None:
    if request.low < 0 or request.high > request.pointer.size:
        raise Violation(
            Rejection.RECORD_BOUNDS,
            f"{request.purpose.value} {request.span()} of a record of map `{request.pointer.map}`, "
            f"which was reserved with {byte_words(request.pointer.size)}",
            "reserve as much as is written, and bound an index before it is used",
        )


def _slice(environment: Environment, state: State, request: Request) -> None:
    if request.purpose is Purpose.UPDATE:
        raise Violation(
            Rejection.ATOMIC_ACCESS,
            "atomically updates a slice of a dynptr, which may begin at any place",
            "load, compute and store; what several processors count belongs into a map's value",
        )
    if request.low < 0 or request.high > request.pointer.size:
        raise Violation(
            Rejection.RECORD_BOUNDS,
            f"{request.purpose.value} {request.span()} of a slice of a dynptr, which was asked for with "
            f"{byte_words(request.pointer.size)}",
            "ask for as much as is used, and bound an index before it is used",
        )


def _stale(environment: Environment, state: State, request: Request) -> None:
    raise _no_pointer(request.register, None, request.purpose)


def _maybe_null(environment: Environment, state: State, request: Request) -> None:
    raise Violation(
        Rejection.NULL_POINTER,
        f"{request.purpose.value} memory through r{request.register}, which may be null: {request.pointer.why_null}",
        "check it first: `if (!pointer) return …`",
    )


def _no_memory(environment: Environment, state: State, request: Request) -> None:
    raise Violation(
        Rejection.NO_POINTER,
        f"{request.purpose.value} memory through r{request.register}, which is {request.pointer}: "
        "nothing may be accessed there",
        "packets are accessed from `data` on, in front of `data_end`; values of maps by a lookup",
    )


_RULES: dict[Kind, Rule] = {
    Kind.STACK: demand_stack,
    Kind.CONTEXT: demand_context,
    Kind.PACKET: ranged_rule("data", "data_end"),
    Kind.METADATA: ranged_rule("data_meta", "data"),
    Kind.PACKET_END: _no_memory,
    Kind.STALE: _stale,
    Kind.APP_ID: ranged_rule("app_id_start", "app_id_end", writable=False),
    Kind.APP_ID_END: _no_memory,
    Kind.MAP_VALUE: demand_map_value,
    Kind.RECORD: _record,
    Kind.DYNPTR: _no_memory,
    Kind.RING_DYNPTR: _no_memory,
    Kind.SLICE: _slice,
    Kind.MAP_KEY: demand_map_key,
    Kind.GONE_KEY: demand_live_key,
    Kind.MAP: _no_memory,
    Kind.MAP_OR_NULL: _no_memory,
    Kind.FUNCTION: _no_memory,
    Kind.SOCKET: socket_rule(SOCKET),
    Kind.SOCKET_COMMON: socket_rule(SOCKET_COMMON),
    Kind.TCP_SOCKET: socket_rule(TCP_SOCKET),
    Kind.HELD_SOCKET: socket_rule(SOCKET),
    Kind.HELD_SOCKET_COMMON: socket_rule(SOCKET_COMMON),
    **dict.fromkeys((*STRUCTURES, Kind.ADDRESS), demand_structure),
    Kind.TRACE_BUFFER: demand_buffer,
    Kind.BUFFER: demand_buffer,
    Kind.READ_ONLY_BUFFER: demand_buffer,
    **dict.fromkeys((kind for kind in NULLABLE if kind is not Kind.MAP_OR_NULL), _maybe_null),
}
