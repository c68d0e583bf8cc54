"""Shared building blocks for writing LLVM IR, and the engine that turns a module into native code."""

from appliance.ir.code import Code, Loop
from appliance.ir.compiler import NativeCode, compile_module
from appliance.ir.engine import Engine
from appliance.ir.storage import Field, Variable
from appliance.ir.symbols import I1, I8, I16, I32, I64, PTR, VOID, Value, external, memory

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
