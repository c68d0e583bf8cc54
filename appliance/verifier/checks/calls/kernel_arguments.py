"""What helpers of a kernel demand: its sockets, its structures, and memory of those."""

from __future__ import annotations

from appliance.helpers.kernel.prototypes import STRUCTURES_TAKEN
from appliance.verifier.checks.calls.argument import Argument, Rule, is_nullable, memory_rule, nothing_or, size_behind
from appliance.verifier.checks.kernel_structures import demand_member, is_structure
from appliance.verifier.checks.memory.access import demand_memory
from appliance.verifier.checks.memory.requests import Purpose, Request
from appliance.verifier.domains.values import HELD_SOCKETS, LENT_SOCKETS, NULLABLE, ZERO, Kind, Pointer
from appliance.verifier.state.stack import CELL, holder
from hooks.contracts.cgroup import SOCKET


def demand_readable(argument: Argument) -> None:
    """Memory, or a member of a structure that the kernel vouches for."""
    value = argument.value
    if type(value) is Pointer and value.kind is Kind.TRUSTED:
        demand_member(argument.environment, value, 0, size_behind(argument))
    else:
        memory_rule(size_behind, Purpose.PASS)(argument)


def demand_told(argument: Argument) -> None:
    """Pointers on the stack are no secret to who may read the kernel's memory; what they point to is read with care."""
    value, size = argument.value, size_behind(argument)
    if type(value) is not Pointer or value.kind is not Kind.STACK or value.variable.constant is None:
        nothing_or(demand_readable)(argument)
        return
    memory_rule(size_behind, Purpose.USE)(argument)
    for at in range(value.least, value.least + size, CELL):
        held = holder(argument.state.stack, at)
        if held is None or not isinstance(argument.state.stack[held].value, Pointer) or held != at:
            request = Request(
                argument.register, value, at - value.least, min(CELL, value.least + size - at), Purpose.PASS
            )
            demand_memory(argument.environment, argument.state, request)


def or_unchecked(rule: Rule) -> Rule:
    """Null, or what may be null: the helper checks it itself."""

    def either(argument: Argument) -> None:
        value = argument.value
        if type(value) is Pointer and value.kind in NULLABLE:
            argument.value = value._replace(kind=NULLABLE[value.kind])
        if value != ZERO:
            rule(argument)

    return either


def demand_socket(argument: Argument) -> None:
    """Any socket of the kernel, whatever tells of it."""
    value, hook = argument.value, argument.environment.spec.hook
    if type(value) is Pointer and value.kind in LENT_SOCKETS | HELD_SOCKETS:
        return
    if value == Pointer(Kind.CONTEXT) and hook.context.name == SOCKET.name:
        return
    if _is_structure(argument, "sock_common"):
        return
    raise argument.refuse("check it first: `if (!sk) return …`" if is_nullable(value) else None)


def _is_structure(argument: Argument, name: str) -> bool:
    """Whether it points to such a structure of the kernel, as far as is known to helpers: what is UNTRUSTED may not."""
    value = argument.value
    known = type(value) is Pointer and value.kind in (Kind.TRUSTED, Kind.TYPED)
    return known and type(value) is Pointer and is_structure(argument.environment, value, name)


def demand_structure(argument: Argument) -> None:
    """A structure of the kernel, of the type that the helper is about."""
    name = STRUCTURES_TAKEN[argument.prototype.name]
    if not _is_structure(argument, name):
        hint = "check it first: `if (!pointer) return …`" if is_nullable(argument.value) else None
        raise argument.refuse(hint or f"it takes a `struct {name}`, as the program was given it or as it was read")


def demand_held_socket(argument: Argument) -> None:
    """One that was looked up."""
    value = argument.value
    if type(value) is not Pointer or value.kind not in HELD_SOCKETS:
        raise argument.refuse("check it first: `if (!sk) return …`" if is_nullable(value) else None)
