"""Replay: every frame of a capture through the program, in memory, on the capture's own clock.

The frame is copied into the worker's scratch buffer first, as a ring would hold it: programs find headroom and
tailroom there, and the capture stays as it was, so that a second replay finds the same frames. A frame that was
recorded in part gets its true length there, with zeros for what is missing.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from dataclasses import dataclass

from llvmlite import ir

from appliance.datapath.captures import FRAME, Capture, Record
from appliance.datapath.layout import (
    INWARD,
    OUTWARD,
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
from appliance.ir import I64, PTR, VOID, Code, Engine, Pointer
from hooks.contracts.contract import HookPoint, Verdict
from hooks.contracts.xdp import FrameContext

RANDOM_SEED = 0x7469646567617465  # a replay gives the same verdicts every time


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What became of the frames: counts by verdict, those of frames from outside and from inside, and each frame's
    verdict in order, as indices into VERDICTS."""

    inward: Mapping[Verdict, Count]
    outward: Mapping[Verdict, Count]
    sequence: bytes
    seconds: float

    @property
    def verdicts(self) -> Mapping[Verdict, Count]:
        """Of all frames."""
        return {verdict: self.inward[verdict] + self.outward[verdict] for verdict in VERDICTS}

    @property
    def frames(self) -> Count:
        """All frames."""
        return sum(self.verdicts.values(), Count())


@dataclass(frozen=True, slots=True)
class ReplayLoop:
    """What `Collection.load` calls to have the replay's loop written beside the programs of those names. Without an
    outward one, the inward one judges all frames."""

    hook: HookPoint
    inward: str
    outward: str | None

    def __call__(self, module: ir.Module, programs: Mapping[str, ir.Function]) -> None:
        _emit_replay(module, programs[self.inward], programs[self.outward] if self.outward else None, self.hook)


def _emit_replay(module: ir.Module, inward: ir.Function, outward: ir.Function | None, hook: HookPoint) -> None:
    """`void replay(worker, counters, base, frames, count)`; `counters` are two blocks, inward and outward."""
    code = Code.define(
        module, "replay", VOID, linkage="external", worker=PTR, counters=PTR, base=PTR, frames=PTR, count=I64
    )
    worker, counters = code["worker"], code["counters"]
    context = code.field(worker, Worker, "context").address
    scratch = code.pointer(code.field(worker, Worker, "scratch").load())
    start = code.at(scratch, SCRATCH_HEADROOM)
    with code.count(code["count"]) as index:
        frame = code.at(code["frames"], code.mul(index, ctypes.sizeof(ReplayFrame)))
        _present(code, worker, frame, code["base"])
        verdict = code.field(frame, ReplayFrame, "verdict")
        if outward is None:
            verdict.store(judge(code, worker, counters, inward, hook))
        else:
            is_outward = code.compare(code.field(frame, ReplayFrame, "program").load(), "==", OUTWARD)
            with code.if_else(is_outward) as (then, otherwise):
                with then:
                    behind = code.at(counters, ctypes.sizeof(PortCounters))
                    verdict.store(judge(code, worker, behind, outward, hook))
                with otherwise:
                    verdict.store(judge(code, worker, counters, inward, hook))
        grown = code.compare(code.field(context, FrameContext, "data_meta").load(), "<", code.integer(start))
        with code.if_(grown, likely=False):  # what one frame's program wrote in front of it, the next must not find
            code.fill(scratch, 0, SCRATCH_HEADROOM)
    code.ret()


def _present(code: Code, worker: Pointer, frame: Pointer, base: Pointer) -> None:
    """Put a frame into the scratch buffer and describe it in the context."""
    context = code.field(worker, Worker, "context").address
    scratch = code.pointer(code.field(worker, Worker, "scratch").load())
    start = code.at(scratch, SCRATCH_HEADROOM)
    captured = code.resize(code.field(frame, ReplayFrame, "captured").load(), I64)
    length = code.resize(code.field(frame, ReplayFrame, "length").load(), I64)
    code.copy(start, code.at(base, code.field(frame, ReplayFrame, "offset").load()), captured)
    with code.if_(code.compare(length, ">", captured), likely=False):
        code.fill(code.at(start, captured), 0, code.sub(length, captured))
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


def replay(engine: Engine, capture: Capture, start: int = 0, stop: int | None = None) -> ReplayResult:
    """Run every frame, or those from number `start` on and before `stop`, through a module that ReplayLoop wrote into.
    `seconds` is the native loop's time alone."""
    table = capture.table[start * FRAME.size : None if stop is None else stop * FRAME.size]
    count = len(table) // FRAME.size
    frames = (ReplayFrame * count).from_buffer_copy(table)
    scratch = ctypes.create_string_buffer(SCRATCH_SIZE)
    worker, counters = Worker(scratch=ctypes.addressof(scratch)), (PortCounters * 2)()
    worker.context.random_state = RANDOM_SEED
    services = RuntimeServices.reproducible()
    services.put_into(worker.context)
    pointers = (ctypes.c_void_p,) * 4
    run = engine.function("replay", None, *pointers, ctypes.c_uint64)
    with default_domain.reading(f"a replay of {capture.path}"):
        addresses = [ctypes.addressof(worker), ctypes.addressof(counters), capture.base, ctypes.addressof(frames)]
        began = time.perf_counter()
        run(*addresses, count)
        seconds = time.perf_counter() - began
    sequence = bytes(Record._make(frame).verdict for frame in FRAME.iter_unpack(frames))
    return ReplayResult(_counts(counters[INWARD]), _counts(counters[OUTWARD]), sequence, seconds)


def _counts(counters: PortCounters) -> dict[Verdict, Count]:
    return {
        verdict: Count(counters.verdict_packets[index], counters.verdict_bytes[index])
        for index, verdict in enumerate(VERDICTS)
    }
