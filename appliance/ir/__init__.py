"""Shared building blocks for writing LLVM IR, and the engine that turns a module into native code."""

from appliance.ir.code import Code, Loop
from appliance.ir.compiler import NativeCode, compile_module, initialise
from appliance.ir.engine import Engine
from appliance.ir.linked import LinkedCode
from appliance.ir.storage import Field, Variable
from appliance.ir.symbols import external, memory
from appliance.ir.types import (
    I1,
    I8,
    I16,
    I32,
    I64,
    I128,
    I192,
    PTR,
    U1,
    U8,
    U16,
    U32,
    U64,
    U128,
    U192,
    VOID,
    AnyType,
    N,
    Number,
    Pointer,
    Type,
    Value,
)

__all__ = [
    "I1",
    "I8",
    "I16",
    "I32",
    "I64",
    "I128",
    "I192",
    "PTR",
    "U1",
    "U8",
    "U16",
    "U32",
    "U64",
    "U128",
    "U192",
    "VOID",
    "AnyType",
    "Code",
    "Engine",
    "Field",
    "LinkedCode",
    "Loop",
    "N",
    "NativeCode",
    "Number",
    "Pointer",
    "Type",
    "Value",
    "Variable",
    "compile_module",
    "external",
    "initialise",
    "memory",
]
