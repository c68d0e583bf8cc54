"""The smallest loop around a program: one call from Python, for tests and for `tidegate exec`."""

from __future__ import annotations

from llvmlite import ir

from appliance.ir import I64, PTR, Code


def emit_run(module: ir.Module, program: ir.Function, name: str = "run") -> None:
    """Export `i64 NAME(HostContext *)`, which runs the program once and gives its r0."""
    code = Code.define(module, name, I64, linkage="external", context=PTR)
    code.ret(code.call(program, code["context"]))
