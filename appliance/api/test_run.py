"""One program on one frame, in memory: what goes in, what comes out, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.api.errors import NoSuchName, ValueUnfit
from appliance.datapath.trial import LONGEST_FRAME, MOST_REPEATS, SHORTEST_FRAME, run_trial
from appliance.ebpf.spec import ProgramSpec
from appliance.ir import Engine
from hooks.contract import Answer, ContextField, FieldKind, HookPoint
from hooks.xdp import FrameContext

RANDOM_SEED = 0x7469646567617465  # the same frame gets the same answer every time


@dataclass(frozen=True, slots=True)
class TestRun:
    """What came of a run, or of the last of several: each judges the frame as the one before left it, as in the kernel.

    `retval` is the low half of r0, and `verdict` what it means on the program's platform. `data_out` is the frame, and
    `context_out` the context's scalar fields, as they are now. `duration_ns` is the mean time of one run, in
    nanoseconds, measured natively around all of them.
    """

    retval: int
    verdict: Answer
    data_out: bytes
    context_out: Mapping[str, int]
    duration_ns: float


def run_test(engine: Engine, program: ProgramSpec, data: bytes, context: Mapping[str, int], repeat: int) -> TestRun:
    """Run a program of a module that `emit_trials` wrote into. Raises ValueUnfit, NoSuchName."""
    if not SHORTEST_FRAME <= len(data) <= LONGEST_FRAME:
        hint = f"an Ethernet frame here has {SHORTEST_FRAME} to {LONGEST_FRAME} bytes"
        raise ValueUnfit(f"a frame of {len(data)} bytes", hint=hint)
    if not 1 <= repeat <= MOST_REPEATS:
        raise ValueUnfit(f"repeat is {repeat}", hint=f"from 1 to {MOST_REPEATS}")
    trial = run_trial(engine, program.name, data, _context_of(program.hook, context), repeat)
    retval = trial.answer & 0xFFFFFFFF
    verdict, fields = program.hook.answer(retval), _fields_of(program.hook, trial.context)
    return TestRun(retval, verdict, trial.frame, fields, trial.nanoseconds)


def _scalars(hook: HookPoint) -> dict[str, ContextField]:
    return {field.name: field for field in hook.context.fields if field.kind is FieldKind.SCALAR}


def _context_of(hook: HookPoint, given: Mapping[str, int]) -> FrameContext:
    """The context in host memory. The layout says where each field is."""
    context, fields = FrameContext(random_state=RANDOM_SEED), _scalars(hook)
    memory = memoryview(context).cast("B")
    for name, value in given.items():
        if name not in fields:
            raise NoSuchName("field of the context to be given", name, fields, hook.context.name)
        field = fields[name]
        if not 0 <= value < 1 << 8 * field.size:
            raise ValueUnfit(f"{name} is {value}", hint=f"it has {field.size} bytes, without a sign")
        memory[field.host_offset : field.host_offset + field.host_size] = value.to_bytes(field.host_size, "little")
    return context


def _fields_of(hook: HookPoint, context: FrameContext) -> dict[str, int]:
    memory = memoryview(context).cast("B")
    return {
        name: int.from_bytes(memory[field.host_offset : field.host_offset + field.host_size], "little")
        for name, field in _scalars(hook).items()
    }
