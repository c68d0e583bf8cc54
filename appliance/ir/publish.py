"""Stores of Python's that native code of other threads sees in order, whatever the machine.

    begin(sequence, n)      sequence = n, seen before whatever is written from now on     a change begins
    …                       ctypes writes what is to be changed
    publish(sequence, n)    sequence = n, seen after whatever was written until now       it is whole

A store through ctypes says nothing of its order: x86 keeps it, Arm and others need not. These two are native code, with
LLVM's orderings; readers pair them with `load_acquire` before, and a fence `acquire` behind, what they read. (Boehm,
"Can Seqlocks Get Along with Programming Language Memory Models?", 2012.)
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from llvmlite import ir

from appliance.ir.code import Code
from appliance.ir.engine import Engine
from appliance.ir.storage import Field
from appliance.ir.types import I64, PTR, VOID


def begin(address: int, value: int) -> None:
    """Store 64 bits, before all that the caller writes afterwards."""
    _function("begin")(address, value)


def publish(address: int, value: int) -> None:
    """Store 64 bits, after all that the caller has written."""
    _function("publish")(address, value)


def emit_stores(module: ir.Module) -> None:
    """Both, as exported functions of the module."""
    code = Code.define(module, "begin", VOID, linkage="external", address=PTR, value=I64)
    Field(code, code["address"], I64, 8).store_monotonic(code["value"])
    code.builder.fence("release")
    code.ret()
    code = Code.define(module, "publish", VOID, linkage="external", address=PTR, value=I64)
    Field(code, code["address"], I64, 8).store_release(code["value"])
    code.ret()


@cache
def _function(name: str) -> Any:
    return _engine().function(name, None, ctypes.c_void_p, ctypes.c_uint64)


@cache
def _engine() -> Engine:
    module = ir.Module("publish")
    emit_stores(module)
    return Engine(module)
