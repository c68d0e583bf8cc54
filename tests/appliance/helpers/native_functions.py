"""Native helpers as functions of their own, `i64 (FrameContext *, r1 … r5)`, one module for all that are asked for."""

import ctypes
from collections.abc import Iterable

from llvmlite import ir

from appliance.helpers.native import IMPLEMENTATIONS, Clock, HelperCall
from appliance.ir import I64, PTR, Code, Engine
from hooks.contracts.xdp import XDP_LINUX, FrameContext


class NativeHelpers:
    """The compiled helpers by name; numbers may be negative. Close it by `with`."""

    def __init__(self, names: Iterable[str], clock: Clock = Clock.MONOTONIC) -> None:
        module = ir.Module("helpers")
        for name in names:
            registers = {f"r{number}": I64 for number in range(1, 6)}
            # A function called `memset` would be what LLVM calls to fill memory.
            code = Code.define(module, f"helper.{name}", I64, linkage="external", context=PTR, **registers)
            arguments = [code[register] for register in registers]
            pointers = [code.pointer(argument) for argument in arguments]
            call = HelperCall(code, XDP_LINUX, clock, code["context"], arguments, pointers)
            code.ret(IMPLEMENTATIONS[name](call))
        self._engine = Engine(module)

    def __enter__(self) -> "NativeHelpers":
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.__exit__(None, None, None)

    def __call__(self, name: str, *arguments: int, context: FrameContext | None = None) -> int:
        function = self._engine.function(f"helper.{name}", ctypes.c_uint64, ctypes.c_void_p, *[ctypes.c_uint64] * 5)
        numbers = [argument % (1 << 64) for argument in (*arguments, 0, 0, 0, 0, 0)[:5]]
        return int(function(ctypes.byref(context or FrameContext()), *numbers))
