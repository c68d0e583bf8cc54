"""Reading a value for the control plane: a copy, so that Python never follows a pointer into a map."""

from __future__ import annotations

import errno

from llvmlite import ir

from appliance.maps.kind import Shape, define
from appliance.maps.value_lock import copy_out, held


def emit_read(module: ir.Module, shape: Shape) -> None:
    """Write `read` for a type whose values stay where they are, after its lookup. Somebody may write the value
    meanwhile, as in the kernel's arrays."""
    lookup: ir.Function = module.globals[f"{shape.name}.lookup"]
    code = define(module, shape, "read")
    value = code.call(lookup, code["map"], code["key"], code["processor"])
    with code.if_(code.is_null(value)):
        code.ret(-errno.ENOENT)
    with held(code, shape, value, code["flags"]):
        copy_out(code, shape, code["value_out"], value)
    code.ret(0)
