"""Shared building blocks for writing LLVM IR, and the engine that turns a module into native code."""

from appliance.ir.code import Code, Loop
from appliance.ir.compiler import NativeCode, compile_module
from appliance.ir.engine import Engine
from appliance.ir.storage import Field, Variable
from appliance.ir.symbols import external, memory
from appliance.ir.types import (
    I1,
    I8,
    I16,
    I32,
    I64,
    PTR,
    U1,
    U8,
    U16,
    U32,
    U64,
    VOID,
    AnyType,
    N,
    Number,
    Pointer,
    Type,
    V,
    Value,
)

__all__ = [
    "I1",
    "I8",
    "I16",
    "I32",
    "I64",
    "PTR",
    "U1",
    "U8",
    "U16",
    "U32",
    "U64",
    "VOID",
    "AnyType",
    "Code",
    "Engine",
    "Field",
    "Loop",
    "N",
    "NativeCode",
    "Number",
    "Pointer",
    "Type",
    "V",
    "Value",
    "Variable",
    "compile_module",
    "external",
    "memory",
]
