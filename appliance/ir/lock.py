"""A spin lock of 16 bits for short critical sections of native code: 0 is free, 1 is held.

A worker may be preempted while it holds one, so whoever waits gives the processor away after a while.
"""

from __future__ import annotations

import platform

from llvmlite import ir

from appliance.ir.code import Code
from appliance.ir.storage import Field
from appliance.ir.symbols import external
from appliance.ir.types import I16, I32, I64, PTR, VOID, Pointer

SPINS = 128  # reads of a held lock before the processor is given away; a critical section takes about 50 ns

_LOCK, _WAIT = "lock", "lock.wait"


def acquire(code: Code, lock: Pointer) -> None:
    """Take the lock at the pointer."""
    code.call(_lock_function(code.module), lock)


def release(code: Code, lock: Pointer) -> None:
    """Let it go; everything written before is seen by the next holder."""
    Field(code, lock, I16, 2).store_release(0)


def pause(code: Code) -> None:
    """Tell the processor that this is a waiting loop, where it wants to know."""
    if platform.machine() == "x86_64":
        code.call(external(code.module, "llvm.x86.sse2.pause", VOID))


def _lock_function(module: ir.Module) -> ir.Function:
    if _LOCK in module.globals:
        return module.globals[_LOCK]
    wait = _wait_function(module)
    code = _define(module, _LOCK, "alwaysinline")
    with code.loop() as loop:
        loop.break_if(code.compare_exchange(code["lock"], 0, 1, I16))
        code.call(wait, code["lock"])
    code.ret()
    return code.function


def _wait_function(module: ir.Module) -> ir.Function:
    """Return when the lock was seen free, or after SPINS reads and a sched_yield."""
    give_away = external(module, "sched_yield", I32)
    code = _define(module, _WAIT, "noinline", "optsize")
    word = Field(code, code["lock"], I16, 2)
    with code.count(ir.Constant(I64, SPINS)):
        with code.if_(code.compare(word.load_acquire(), "==", 0)):
            code.ret()
        pause(code)
    code.call(give_away)
    code.ret()
    return code.function


def _define(module: ir.Module, name: str, *attributes: str) -> Code:
    code = Code.define(module, name, VOID, lock=PTR)
    for attribute in ("nounwind", *attributes):
        code.function.attributes.add(attribute)
    return code
