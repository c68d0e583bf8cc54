"""When an access to the context is allowed: it is exactly a field that the hook declares, and is written only if the
field may be."""

from __future__ import annotations

from appliance.verifier.checks.memory.requests import Purpose, Request, byte_words
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State


def demand_context(environment: Environment, state: State, request: Request) -> None:
    layout = environment.spec.hook.context
    if request.pointer.variable.constant is None:
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            "accesses the context at an offset that is not a constant",
            "name the field in the source",
        )
    if request.purpose in (Purpose.PASS, Purpose.FILL, Purpose.UPDATE):
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            f"{request.purpose.value} the context, which only plain loads may access",
            "read the field into a local variable, and give its address",
        )
    field = layout.field_at(request.low, request.size)
    if field is None:
        _demand_here(environment, request)
        largest = {(f.name, f.offset): f.size for f in layout.fields}
        fields = ", ".join(f"{name} at {offset} ({byte_words(size)})" for (name, offset), size in largest.items())
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            f"{request.purpose.value} {request.span()} of the context `{layout.name}`, which is no field of it",
            f"its fields are {fields}",
        )
    if request.purpose is Purpose.WRITE and not field.writes:
        raise Violation(
            Rejection.READ_ONLY_MEMORY,
            f"writes `{field.name}` of the context `{layout.name}`, which may only be read",
            "work on a copy in a local variable",
        )
    writes = request.purpose is Purpose.WRITE
    if not (field.may_write if writes else field.may_read)(request.low, request.size):
        sizes = " or ".join(str(size) for size in (field.writes if writes else field.reads))
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            f"{request.purpose.value} {request.span()} of the context `{layout.name}`: `{field.name}` is "
            f"{'written' if writes else 'read'} in {sizes} bytes, at a multiple of that",
            "access the field as it is declared, and then take the part that is needed",
        )


def _demand_here(environment: Environment, request: Request) -> None:
    """Violates if what is accessed is a field that only a kernel has."""
    kernels = environment.spec.hook.in_kernel
    field = kernels.context.field_at(request.low, request.size) if kernels is not None else None
    if field is not None:
        layout = environment.spec.hook.context.name
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            f"{request.purpose.value} `{field.name}` of the context `{layout}`, which only a kernel has",
            "it can be verified, and not be run here",
            unsupported=True,
        )
