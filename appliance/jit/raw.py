"""Bytecode without a hook, compiled and called once: r1 is memory, r2 its length."""

from __future__ import annotations

import ctypes

from llvmlite import ir

from appliance.ir import Engine
from appliance.jit.program import emit_raw
from appliance.verifier.program import VerifiedProgram


def run_raw(program: VerifiedProgram, memory: bytearray) -> int:
    """r0 of one run, 0 to 2**64 - 1; the program may have changed `memory`. Raises NotCompilable."""
    module = ir.Module(program.spec.name)
    emit_raw(module, program)
    with Engine(module) as engine:
        run = engine.function(f"raw_{program.spec.name}", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)
        room = (ctypes.c_char * max(1, len(memory))).from_buffer(memory or bytearray(1))
        return int(run(ctypes.addressof(room), len(memory)))
