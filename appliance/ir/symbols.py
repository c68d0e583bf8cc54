"""The types of generated code, and what a module names that lies elsewhere: memory and functions."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
PTR = ir.PointerType()
VOID = ir.VoidType()
PAGE = 4096

Value = Any  # llvmlite has no types of its own: an ir.Value, or an int where a constant of the same type is meant


def memory(module: ir.Module, name: str, size: int) -> Value:
    """`size` bytes of memory that lives elsewhere, as a pointer: who links the code says where it is (see compiler).

    Nothing else may be in these bytes as far as the module is concerned: LLVM takes different names for different
    memory. They begin a page.
    """
    symbol = ir.GlobalVariable(module, ir.ArrayType(I8, size), name)
    symbol.align = PAGE
    return symbol


def external(module: ir.Module, name: str, result: ir.Type, *parameters: ir.Type) -> ir.Function:
    """A function of the C library or an LLVM intrinsic, declared once per module."""
    known = module.globals.get(name)
    if known is not None:
        return known
    return ir.Function(module, ir.FunctionType(result, parameters), name)
