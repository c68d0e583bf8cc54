"""Waking a consumer: one write to an eventfd, from native code."""

from __future__ import annotations

from llvmlite import ir

from appliance.ir import I32, I64, PTR, U32, VOID, Code, external
from appliance.maps.kind import internal

_WAKE = "map.wake"


def wake(code: Code, descriptor: U32) -> None:
    """Make the eventfd (32 bits) readable. It takes a system call: only for a consumer that may be waiting."""
    code.call(_wake_function(code.module), descriptor)


def _wake_function(module: ir.Module) -> ir.Function:
    if _WAKE in module.globals:
        return module.globals[_WAKE]
    write = external(module, "write", I64, I32, PTR, I64)
    code = internal(module, _WAKE, VOID, descriptor=I32)
    one = code.variable(I64, 1)
    code.call(write, code["descriptor"], one.address, 8)
    code.ret()
    return code.function
