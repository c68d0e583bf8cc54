"""Trials: one frame in memory through one program, as often as asked, in a single native call.

    TrialBlock ── context ──> | headroom |  the frame  | tailroom |
               ├─ program                                           i64 (FrameContext *)
               └─ repeat, answer, nanoseconds

As in the kernel (net/bpf/test_run.c) the frame is laid down once: each run judges it as the run before left it, the
room around it is that of a page, and what counts as the answer is the last run's. The program is called by its address,
which LLVM doesn't know: what it is asked to do a million times it does a million times.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from dataclasses import dataclass

from llvmlite import ir

from appliance.helpers.native.general import NANOSECONDS, Timespec
from appliance.ir import I32, I64, PTR, VOID, Code, Engine, external
from appliance.ir.code import Value
from appliance.jit.run import emit_run
from hooks.xdp import FrameContext

HEADROOM = 256  # XDP_PACKET_HEADROOM
PAGE_ROOM = 4096 - HEADROOM - 320  # what a page holds behind the headroom and before struct skb_shared_info
SHORTEST_FRAME = 14  # an Ethernet header
LONGEST_FRAME = 262144
MOST_REPEATS = 100_000_000  # nothing interrupts a native call


class TrialBlock(ctypes.Structure):
    """What the native loop is given, and where it says what it found."""

    _fields_ = (
        ("context", FrameContext),
        ("program", ctypes.c_uint64),  # the address of `i64 (FrameContext *)`
        ("repeat", ctypes.c_uint64),  # at least 1
        ("answer", ctypes.c_uint64),  # r0 of the last run
        ("nanoseconds", ctypes.c_uint64),  # of all runs together
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of the frame: r0 of the last run, the frame and the context as they are now, and the mean time."""

    answer: int
    frame: bytes
    context: FrameContext
    nanoseconds: float


def emit_trials(module: ir.Module, programs: Mapping[str, ir.Function]) -> None:
    """What `Collection.load` calls to have each program exported, and the loop written that runs one of them."""
    for name, program in programs.items():
        emit_run(module, program, f"run_{name}")
    code = Code.define(module, "try_out", VOID, linkage="external", block=PTR)
    block = code["block"]
    entry = ir.FunctionType(I64, [PTR]).as_pointer()
    program = code.builder.inttoptr(code.field(block, TrialBlock, "program").load(), entry)
    context = code.field(block, TrialBlock, "context").address
    answer = code.variable(I64, 0)
    began = _now(code)
    with code.count(code.field(block, TrialBlock, "repeat").load()):
        answer.set(code.call(program, context))
    code.field(block, TrialBlock, "nanoseconds").store(code.sub(_now(code), began))
    code.field(block, TrialBlock, "answer").store(answer.get())
    code.ret()


def _now(code: Code) -> Value:
    """This machine's monotonic clock in nanoseconds."""
    clock_gettime = external(code.module, "clock_gettime", I32, I32, PTR)
    now = code.buffer(ctypes.sizeof(Timespec))
    code.call(clock_gettime, time.CLOCK_MONOTONIC, now)
    seconds, nanoseconds = (code.field(now, Timespec, name).load() for name in ("seconds", "nanoseconds"))
    return code.add(code.mul(seconds, NANOSECONDS), nanoseconds)


def run_trial(engine: Engine, program: str, frame: bytes, context: FrameContext, repeat: int) -> Trial:
    """Run a program of a module that `emit_trials` wrote into, on a frame of SHORTEST_FRAME to LONGEST_FRAME bytes.

    `context` says everything but where the frame is; it is copied. Raises KeyError for an unknown program.
    """
    tailroom = max(0, PAGE_ROOM - len(frame))
    memory = ctypes.create_string_buffer(bytes(HEADROOM) + frame, HEADROOM + len(frame) + tailroom)
    start = ctypes.addressof(memory) + HEADROOM
    block = TrialBlock(context=context, program=engine.address(f"run_{program}"), repeat=repeat)
    places = block.context
    places.hard_start, places.data, places.data_meta = start - HEADROOM, start, start
    places.data_end, places.hard_end = start + len(frame), start + len(frame) + tailroom
    engine.function("try_out", None, ctypes.c_void_p)(ctypes.addressof(block))
    after = ctypes.string_at(places.data, places.data_end - places.data)
    return Trial(block.answer, after, FrameContext.from_buffer_copy(places), block.nanoseconds / repeat)
