"""When an access to a kernel's memory is allowed, which programs that never run here are given pointers to.

socket      exactly a declared field; never written
structure   what is a member by its type (`kernel_structures`); written only where the hook says so
address     any; never written
buffer      of an iterator or a tracepoint: 0 <= place; its end is known where the program is attached; keys are never
            written
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.verifier.checks.kernel_structures import demand_member, is_writable
from appliance.verifier.checks.memory.requests import READING, WRITING, Purpose, Request, byte_words
from appliance.verifier.domains.values import Kind
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State
from hooks.contracts.contract import ContextLayout


def socket_rule(layout: ContextLayout) -> Callable[[Environment, State, Request], None]:
    """The rule of what the kernel shows of a socket."""

    def rule(environment: Environment, state: State, request: Request) -> None:
        if request.purpose is not Purpose.READ:
            raise Violation(
                Rejection.SOCKET_ACCESS,
                f"{request.purpose.value} a socket, which only plain loads may access",
                "copy fields to local variables; sockets are changed by helpers, such as setsockopt",
            )
        field = layout.field_at(request.low, request.size) if request.pointer.variable.constant is not None else None
        if field is None or not field.may_read(request.low, request.size):
            raise Violation(
                Rejection.SOCKET_ACCESS,
                f"reads {request.span()} of a `{layout.name}`, which is no field of it, or not one of that size",
                f"its fields are {', '.join(f'{f.name} at {f.offset} ({byte_words(f.size)})' for f in layout.fields)}",
            )

    return rule


def demand_structure(environment: Environment, state: State, request: Request) -> None:
    """A structure of the kernel, or any address in it."""
    what = f"a `{request.pointer.type_name}`" if request.pointer.type is not None else "memory"
    if request.purpose is Purpose.WRITE and is_writable(environment, request.pointer, request.offset, request.size):
        return
    if request.purpose is not Purpose.READ:
        raise Violation(
            Rejection.KERNEL_ACCESS,
            f"{request.purpose.value} {what} of the kernel, which only plain loads may access",
            "probe_read_kernel copies it to memory of the program"
            if request.purpose in READING
            else "the kernel's own structures are changed by its helpers only",
        )
    if request.pointer.kind is not Kind.ADDRESS:
        demand_member(environment, request.pointer, request.offset, request.size)


def demand_buffer(environment: Environment, state: State, request: Request) -> None:
    """What an iterator is at, or what a tracepoint lets programs change."""
    if request.pointer.variable.constant is None or request.low < 0:
        raise Violation(
            Rejection.KERNEL_ACCESS,
            f"{request.purpose.value} {request.span()} of {request.pointer}: only constant places have a use",
        )
    if request.pointer.kind is Kind.TRACE_BUFFER and request.purpose not in (Purpose.READ, Purpose.WRITE):
        raise Violation(
            Rejection.KERNEL_ACCESS,
            f"{request.purpose.value} {request.pointer}, which only plain loads and stores may access",
            "copy it to the stack first",
        )
    if request.pointer.kind is Kind.READ_ONLY_BUFFER and request.purpose in WRITING:
        raise Violation(
            Rejection.READ_ONLY_MEMORY,
            f"{request.purpose.value} {request.pointer}, which may only be read",
            "copy it first",
        )
