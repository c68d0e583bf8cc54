"""What each ArgumentKind demands of the register that a helper is called with: one rule per kind.

A size stands behind the memory it belongs to, so the memory's rule looks one register on.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.ebpf.map_types import MapType
from appliance.helpers.dynptrs import DYNPTR_SIZE
from appliance.helpers.prototypes import ArgumentKind
from appliance.verifier.checks.calls.argument import LARGEST, Argument, Rule, memory_rule, nothing_or, size_behind
from appliance.verifier.checks.calls.formats import Call, demand_array, demand_format, demand_printed, demand_text
from appliance.verifier.checks.calls.kernel_arguments import (
    demand_held_socket,
    demand_readable,
    demand_socket,
    demand_structure,
    demand_told,
    or_unchecked,
)
from appliance.verifier.checks.calls.map_arguments import SOCKET_MAPS, demand_map
from appliance.verifier.checks.memory.access import demand_access
from appliance.verifier.checks.memory.requests import Purpose
from appliance.verifier.control_flow.call_stack import TOO_DEEP
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import STRUCTURE_KINDS, ZERO, Kind, Pointer, Value
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation


def _number(argument: Argument) -> None:
    value = argument.value
    if type(value) is Pointer and value.kind not in STRUCTURE_KINDS:
        raise argument.refuse("a pointer may not be told to a helper as a number")


def _context(argument: Argument) -> None:
    if argument.value != Pointer(Kind.CONTEXT):
        raise argument.refuse("pass the pointer that the program was given, unchanged")


def _map_value_out(argument: Argument) -> None:
    purpose = Purpose.PASS if argument.map().type is MapType.BLOOM_FILTER else Purpose.FILL
    memory_rule(lambda argument: argument.map().value_size, purpose)(argument)


def _changed(size: Callable[[Argument], int]) -> Rule:
    def rule(argument: Argument) -> None:
        for purpose in (Purpose.PASS, Purpose.FILL):
            memory_rule(size, purpose)(argument)

    return rule


def _callback(argument: Argument) -> None:
    function, frames = argument.value, argument.environment.frames
    if type(function) is not Pointer or function.kind is not Kind.FUNCTION:
        raise argument.refuse("pass the name of a static function")
    frames.demand_another()
    if function.id in frames.active:
        raise Violation(Rejection.CALL_DEPTH, TOO_DEEP, "turn the recursion into a loop")


def _stack_or_null(argument: Argument) -> None:
    value = argument.value
    if value != ZERO and (type(value) is not Pointer or value.kind is not Kind.STACK):
        raise argument.refuse("pass the address of a local variable, and in it what the function needs")


def _size(least: int) -> Rule:
    def rule(argument: Argument) -> None:
        value = argument.value
        if type(value) is not Scalar or value.whole.umin < least or value.whole.umax >= LARGEST:
            raise argument.refuse(
                "use a constant, or bound the number before the call: `if (size > sizeof(buffer)) return …`"
            )

    return rule


def _anything(argument: Argument) -> None:
    """Whatever the register holds."""


def _or_null(rule: Rule) -> Rule:
    def either(argument: Argument) -> None:
        if argument.value != ZERO:
            rule(argument)

    return either


def _map_value(argument: Argument) -> None:
    """Memory; for a map of sockets, the socket itself."""
    spec = argument.map()
    if spec.type in SOCKET_MAPS:
        demand_socket(argument)
    else:
        memory_rule(lambda _: spec.value_size, Purpose.PASS)(argument)


def _constant_size(argument: Argument) -> None:
    value = argument.value
    if type(value) is not Scalar or value.constant is None:
        raise argument.refuse("reserve the largest size, or use ringbuf_output, which takes any")


def _record(argument: Argument) -> None:
    value = argument.value
    if type(value) is not Pointer or value.kind is not Kind.RECORD or value.least or value.most:
        hint = "check it first: `if (!record) return …`" if _is(value, Kind.RECORD_OR_NULL) else None
        raise argument.refuse(hint or "pass what ringbuf_reserve gave, unchanged, and only once")


def _map_memory(argument: Argument) -> None:
    if not _is(argument.value, Kind.MAP_VALUE):
        raise argument.refuse("a dynptr is about a map value: for other memory there are ring buffers")
    _changed(size_behind)(argument)


def _new_dynptr(argument: Argument) -> None:
    _demand_place(argument, "declare a `struct bpf_dynptr` on the stack, and pass its address")


def _dynptr(argument: Argument) -> None:
    """One that was made, in the program's own stack."""
    value = argument.value
    dynptr = argument.state.dynptr(value.least) if type(value) is Pointer and value.kind is Kind.STACK else None
    if dynptr is None or (argument.kind is ArgumentKind.RING_DYNPTR and dynptr.kind is not Kind.RING_DYNPTR):
        raise argument.refuse("pass the address of one that was made on every path, and is not yet written over")
    _demand_place(argument, "pass the address of the `struct bpf_dynptr` itself", touch=Purpose.USE)


def _demand_place(argument: Argument, hint: str, touch: Purpose = Purpose.KEEP) -> None:
    """16 bytes of a stack at a known place, aligned as pointers are."""
    value = argument.value
    if type(value) is not Pointer or value.kind is not Kind.STACK:
        raise argument.refuse(hint)
    if value.variable.constant is None or (value.least - value.base) % 8:
        raise argument.refuse("its place must be known, and a multiple of 8")
    demand_access(argument.environment, argument.state, argument.register, 0, DYNPTR_SIZE, touch)


def _slice_size(argument: Argument) -> None:
    value = argument.value
    if type(value) is not Scalar or value.constant is None or value.constant >= LARGEST:
        raise argument.refuse("use a constant; dynptr_read takes any size")


def _lock(argument: Argument) -> None:
    value = argument.value
    if type(value) is not Pointer or value.kind is not Kind.MAP_VALUE or value.map is None:
        raise argument.refuse("pass the address of the `struct bpf_spin_lock` in a map value that was looked up")
    offset = argument.environment.map(value.map).lock
    if offset is None:
        raise argument.refuse(
            f"map `{value.map}` has no lock: put a `struct bpf_spin_lock` into its value, in a hash or an array that "
            "is declared with the type of its values (BTF)"
        )
    if value.variable.constant is None or value.least != offset:
        raise argument.refuse(f"the lock is at byte {offset} of the value")
    held = argument.state.lock
    if argument.prototype.name == "spin_unlock" and (held is None or (held.map, held.id) != (value.map, value.id)):
        raise Violation(
            Rejection.LOCK_BALANCE,
            "calls `spin_unlock` without a lock being held"
            if held is None
            else f"calls `spin_unlock` for another value than the one of map `{held.map}` whose lock it holds",
            "lock and unlock through the same pointer, on the same paths",
        )


def _is(value: Value, kind: Kind) -> bool:
    return type(value) is Pointer and value.kind is kind


def _printed(demand: Callable[[Call, int], None]) -> Rule:
    """What `formats` demands, which looks at the whole call."""
    return lambda argument: demand(Call(argument.environment, argument.state, argument.prototype), argument.register)


ARGUMENT_RULES: dict[ArgumentKind, Rule] = {
    ArgumentKind.ANYTHING: _anything,
    ArgumentKind.SCALAR: _number,
    ArgumentKind.CONTEXT: _context,
    ArgumentKind.MAP: demand_map,
    ArgumentKind.MAP_KEY: memory_rule(lambda argument: argument.map().key_size, Purpose.PASS),
    ArgumentKind.MAP_VALUE: _map_value,
    ArgumentKind.MAP_VALUE_OUT: _map_value_out,
    ArgumentKind.READABLE: demand_readable,
    ArgumentKind.READABLE_OR_NULL: nothing_or(demand_readable),
    ArgumentKind.WRITABLE: memory_rule(size_behind, Purpose.FILL),
    ArgumentKind.PARTLY_WRITABLE: memory_rule(size_behind, Purpose.FILL),
    ArgumentKind.CHANGED: _changed(size_behind),
    ArgumentKind.HEADER_20: memory_rule(lambda _: 20, Purpose.PASS),
    ArgumentKind.HEADER_40: memory_rule(lambda _: 40, Purpose.PASS),
    ArgumentKind.CHANGED_U32: _changed(lambda _: 4),
    ArgumentKind.CALLBACK: _callback,
    ArgumentKind.STACK_OR_NULL: _stack_or_null,
    ArgumentKind.WRITABLE_U64: memory_rule(lambda _: 8, Purpose.FILL),
    ArgumentKind.CONSTANT_SIZE: _constant_size,
    ArgumentKind.RECORD: _record,
    ArgumentKind.MAP_MEMORY: _map_memory,
    ArgumentKind.NEW_DYNPTR: _new_dynptr,
    ArgumentKind.DYNPTR: _dynptr,
    ArgumentKind.RING_DYNPTR: _dynptr,
    ArgumentKind.SLICE_SIZE: _slice_size,
    ArgumentKind.LOCK: _lock,
    ArgumentKind.TEXT: _printed(demand_text),
    ArgumentKind.FORMAT: _printed(demand_format),
    ArgumentKind.PRINTED: _printed(demand_printed),
    ArgumentKind.PRINTED_ARRAY: _printed(demand_array),
    ArgumentKind.MAP_VALUE_OR_NULL: _or_null(memory_rule(lambda argument: argument.map().value_size, Purpose.PASS)),
    ArgumentKind.TOLD: demand_told,
    ArgumentKind.WRITABLE_OR_NULL: nothing_or(memory_rule(size_behind, Purpose.FILL)),
    ArgumentKind.SOCKET: demand_socket,
    ArgumentKind.HELD_SOCKET: demand_held_socket,
    ArgumentKind.STRUCTURE: demand_structure,
    ArgumentKind.STRUCTURE_OR_NULL: or_unchecked(demand_structure),
    ArgumentKind.SOCKET_OR_NULL: or_unchecked(demand_socket),
    ArgumentKind.SIZE: _size(1),
    ArgumentKind.SIZE_OR_ZERO: _size(0),
}
