"""Test runs: one context in memory through one program, as often as asked, in a single native call.

    TestRunBlock ── context ──> HostContext ──> its data (`test_run_data`): a frame, a path, nothing
               ├─ program     i64 (HostContext *)
               └─ repeat, r0, nanoseconds

As in the kernel (net/bpf/test_run.c) data and context are laid down once: each run judges them as the run before left
them, and what counts as the answer is the last run's. The program is called by its address, which LLVM doesn't know:
what it is asked to do a million times it does a million times.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from llvmlite import ir

from appliance.datapath.test_run_data import data_of
from appliance.helpers.native.general import clock_gettime
from appliance.ir import I64, PTR, VOID, Code, Engine
from appliance.jit.program import entry_name
from hooks.contracts.contract import HostContext

MOST_REPEATS = 100_000_000  # nothing interrupts a native call


class TestRunBlock(ctypes.Structure):
    """What the native loop is given, and where it says what it found."""

    _fields_ = (
        ("context", ctypes.c_uint64),  # the address of the hook's context
        ("program", ctypes.c_uint64),  # the address of `i64 (HostContext *)`
        ("repeat", ctypes.c_uint64),  # at least 1
        ("r0", ctypes.c_uint64),  # of the last run
        ("nanoseconds", ctypes.c_uint64),  # of all runs together
    )


@dataclass(frozen=True, slots=True)
class TestRunResult:
    """What came of it: r0 of the last run, the data and the context as they are now, and the mean time of a run."""

    r0: int
    data: bytes
    context: HostContext
    nanoseconds: float


def export_programs(module: ir.Module, programs: Mapping[str, ir.Function]) -> None:
    """What `Collection.load` calls to have each program exported, for `native_loop` to call."""
    for program in programs.values():
        program.linkage = "external"


@cache
def native_loop() -> Callable[[int], None]:
    """The native loop, `void (TestRunBlock *)`: the same for all programs, and compiled once."""
    code = Code.define(ir.Module("test_run"), "test_run_loop", VOID, linkage="external", block=PTR)
    block = code["block"]
    entry = ir.FunctionType(I64, [PTR]).as_pointer()
    program = code.builder.inttoptr(code.field(block, TestRunBlock, "program").load(), entry)
    context = code.pointer(code.field(block, TestRunBlock, "context").load())
    r0 = code.variable(I64, 0)
    began = clock_gettime(code, time.CLOCK_MONOTONIC)
    with code.count(code.field(block, TestRunBlock, "repeat").load()):
        r0.set(code.call(program, context))
    code.field(block, TestRunBlock, "nanoseconds").store(code.sub(clock_gettime(code, time.CLOCK_MONOTONIC), began))
    code.field(block, TestRunBlock, "r0").store(r0.get())
    code.ret()
    return Engine(code.module).function("test_run_loop", None, ctypes.c_void_p)


def bpf_test_run(engine: Engine, program: str, data: bytes, context: HostContext, repeat: int) -> TestRunResult:
    """Run a program of a module that `export_programs` exported, on data that suits the hook of the context.

    `context` says everything but where the data is; it is copied. Raises KeyError for an unknown program, RuntimeError
    if the engine is closed. Any thread may call it; if others may close the engine, in a read-side critical section.
    """
    copy = type(context).from_buffer_copy(context)
    laid_down = data_of(type(context))(copy, data)
    block = TestRunBlock(context=ctypes.addressof(copy), program=engine.address(entry_name(program)), repeat=repeat)
    native_loop()(ctypes.addressof(block))
    return TestRunResult(block.r0, laid_down.after(copy), copy, block.nanoseconds / repeat)
