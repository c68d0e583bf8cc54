"""Replay: every frame of a capture through the program, in memory, on the capture's own clock.

The frame is copied into the worker's scratch buffer first, as a ring would hold it: programs find headroom and
tailroom there, and the capture stays as it was, so that a second replay finds the same frames.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from dataclasses import dataclass

from llvmlite import ir

from appliance.datapath.capture import FRAME, Capture
from appliance.datapath.layout import (
    SCRATCH_HEADROOM,
    SCRATCH_SIZE,
    SCRATCH_TAILROOM,
    VERDICTS,
    PortCounters,
    ReplayFrame,
    Worker,
)
from appliance.datapath.loop import judge
from appliance.datapath.statistics import Count
from appliance.epochs import default_domain
from appliance.helpers.services import RuntimeServices
from appliance.ir import I64, PTR, VOID, Code, Engine
from hooks.contracts.contract import HookPoint, Verdict
from hooks.contracts.xdp import FrameContext

RANDOM_SEED = 0x7469646567617465  # a replay gives the same verdicts every time


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What became of the frames: counts by verdict, and each frame's verdict in order, as indices into VERDICTS."""

    frames: Count
    verdicts: Mapping[Verdict, Count]
    sequence: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class ReplayLoop:
    """What `Collection.load` calls to have the replay's loop written beside the program of that name."""

    hook: HookPoint
    program: str

    def __call__(self, module: ir.Module, programs: Mapping[str, ir.Function]) -> None:
        _emit_replay(module, programs[self.program], self.hook)


def _emit_replay(module: ir.Module, program: ir.Function, hook: HookPoint) -> None:
    """`void replay(worker, counters, base, frames, count)`"""
    code = Code.define(
        module, "replay", VOID, linkage="external", worker=PTR, counters=PTR, base=PTR, frames=PTR, count=I64
    )
    worker = code["worker"]
    context = code.field(worker, Worker, "context").address
    scratch = code.pointer(code.field(worker, Worker, "scratch").load())
    start = code.at(scratch, SCRATCH_HEADROOM)
    with code.count(code["count"]) as index:
        frame = code.at(code["frames"], code.mul(index, ctypes.sizeof(ReplayFrame)))
        length = code.resize(code.field(frame, ReplayFrame, "length").load(), I64)
        code.copy(start, code.at(code["base"], code.field(frame, ReplayFrame, "offset").load()), length)
        places = {
            "data": start,
            "data_meta": start,
            "data_end": code.at(start, length),
            "hard_start": scratch,
            "hard_end": code.at(start, code.add(length, SCRATCH_TAILROOM)),
        }
        for name, place in places.items():
            code.field(context, FrameContext, name).store(code.integer(place))
        code.field(context, FrameContext, "time_ns").store(code.field(frame, ReplayFrame, "time_ns").load())
        verdict = judge(code, worker, code["counters"], program, hook)
        code.field(frame, ReplayFrame, "verdict").store(verdict)
        grown = code.compare(code.field(context, FrameContext, "data_meta").load(), "<", code.integer(start))
        with code.if_(grown, likely=False):  # what one frame's program wrote in front of it, the next must not find
            code.fill(scratch, 0, SCRATCH_HEADROOM)
    code.ret()


def replay(engine: Engine, capture: Capture) -> ReplayResult:
    """Run every frame through a module that ReplayLoop wrote into. `seconds` is the native loop's time alone."""
    frames = (ReplayFrame * len(capture)).from_buffer_copy(capture.table)
    scratch = ctypes.create_string_buffer(SCRATCH_SIZE)
    worker, counters = Worker(scratch=ctypes.addressof(scratch)), PortCounters()
    worker.context.random_state = RANDOM_SEED
    services = RuntimeServices.reproducible()
    services.put_into(worker.context)
    pointers = (ctypes.c_void_p,) * 4
    run = engine.function("replay", None, *pointers, ctypes.c_uint64)
    with default_domain.reading(f"a replay of {capture.path}"):
        addresses = [ctypes.addressof(worker), ctypes.addressof(counters), capture.base, ctypes.addressof(frames)]
        began = time.perf_counter()
        run(*addresses, len(capture))
        seconds = time.perf_counter() - began
    return ReplayResult(
        Count(counters.received_packets, counters.received_bytes),
        {
            verdict: Count(counters.verdict_packets[index], counters.verdict_bytes[index])
            for index, verdict in enumerate(VERDICTS)
        },
        bytes(verdict for _, _, verdict, _ in FRAME.iter_unpack(frames)),
        seconds,
    )
