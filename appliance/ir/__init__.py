"""Shared building blocks for writing LLVM IR, and the engine that turns a module into native code."""

from appliance.ir.code import I1, I8, I16, I32, I64, PTR, VOID, Code, Field, Loop, Value, Variable, external, memory
from appliance.ir.compiler import NativeCode, compile_module
from appliance.ir.engine import Engine

__all__ = [
    "I1",
    "I8",
    "I16",
    "I32",
    "I64",
    "PTR",
    "VOID",
    "Code",
    "Engine",
    "Field",
    "Loop",
    "NativeCode",
    "Value",
    "Variable",
    "compile_module",
    "external",
    "memory",
]
