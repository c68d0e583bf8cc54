"""What a module names that lies elsewhere: memory and functions."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from appliance.ir.types import I8, Pointer

PAGE = 4096


def memory(module: ir.Module, name: str, size: int) -> Pointer:
    """`size` bytes of memory that lives elsewhere, as a pointer: who links the code says where it is (see compiler).

    Nothing else may be in these bytes as far as the module is concerned: LLVM takes different names for different
    memory. They begin a page.
    """
    symbol: Any = ir.GlobalVariable(module, ir.ArrayType(I8, size), name)
    symbol.align = PAGE
    place: Pointer = symbol
    return place


def external(module: ir.Module, name: str, result: ir.Type, *parameters: ir.Type) -> ir.Function:
    """A function of the C library or an LLVM intrinsic, declared once per module."""
    known = module.globals.get(name)
    if known is not None:
        return known
    return ir.Function(module, ir.FunctionType(result, parameters), name)
