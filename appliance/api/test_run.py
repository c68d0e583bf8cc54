"""One program on one context, in memory: what goes in, what comes out, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.api.errors import NoSuchName, ValueUnfit
from appliance.datapath.test_run import MOST_REPEATS, bpf_test_run
from appliance.datapath.test_run_data import data_of
from appliance.ebpf.spec import ProgramSpec
from appliance.helpers.routing.tables import RoutingTables
from appliance.helpers.services import RuntimeServices
from appliance.helpers.trace import TraceLog
from appliance.ir import Engine
from hooks.contracts.contract import Answer, ContextField, FieldKind, HookPoint, HostContext
from hooks.contracts.task import fill_in_caller
from hooks.contracts.xdp import FrameContext, RedirectKind

RANDOM_SEED = 0x7469646567617465  # the same frame gets the same answer every time
LONGEST_NUMBER = 8  # bytes: what is longer comes out as bytes


@dataclass(frozen=True, slots=True)
class TestRun:
    """What came of a run, or of the last of several: each judges what the one before left, as in the kernel.

    `retval` is the low half of r0, and `verdict` what it means at the program's hook. `data_out` is the frame (for BIND
    the path), and `context_out` the context's scalar fields and what helpers left beside them, as they are now: numbers
    as the program reads them, and bytes for what is longer than 8. `duration_ns` is the mean time of one run, in
    nanoseconds, measured natively around all of them. `trace` is what the runs printed, oldest first, as far as there
    was room for it. `redirect_ifindex` is the interface that the program redirected the frame to, 0 without one.
    """

    retval: int
    verdict: Answer
    data_out: bytes
    context_out: Mapping[str, int | bytes]
    duration_ns: float
    trace: tuple[bytes, ...] = ()
    redirect_ifindex: int = 0


def run_test(
    engine: Engine,
    program: ProgramSpec,
    data: bytes,
    context: Mapping[str, int | bytes],
    repeat: int,
    routing: RoutingTables | None = None,
) -> TestRun:
    """Run a program of a module that `export_programs` exported. Raises ValueUnfit, NoSuchName."""
    hook = program.hook
    kind = data_of(hook.host)
    if not kind.shortest <= len(data) <= kind.longest:
        raise ValueUnfit(f"{kind.what} of {len(data)} bytes", hint=kind.limits)
    if not 1 <= repeat <= MOST_REPEATS:
        raise ValueUnfit(f"repeat is {repeat}", hint=f"from 1 to {MOST_REPEATS}")
    log, host, services = TraceLog(), host_context(hook, context), RuntimeServices.reproducible(routing)
    host.trace = log.address
    if isinstance(host, FrameContext):
        services.put_into(host)
    run = bpf_test_run(engine, program.name, data, host, repeat)
    retval, after = run.r0 & 0xFFFFFFFF, run.context
    answer, fields = hook.answer(retval), _fields_of(hook, after)
    return TestRun(retval, answer, run.data, fields, run.nanoseconds, log.lines(), _target(after))


def _target(context: HostContext) -> int:
    """The interface that a program redirected to."""
    named = isinstance(context, FrameContext) and context.redirect_kind == RedirectKind.INTERFACE
    return int(context.redirect_ifindex) if named else 0


def host_context(hook: HookPoint, given: Mapping[str, int | bytes]) -> HostContext:
    """The context in host memory, asked for by this thread. Raises ValueUnfit, NoSuchName."""
    context = hook.host(random_state=RANDOM_SEED)
    fill_in_caller(context)
    fields = _scalars(hook) | {name: _beside(hook, name) for name in hook.helper_inputs}
    memory = memoryview(context).cast("B")
    for name, value in {**hook.defaults, **given}.items():
        if name not in fields:
            raise NoSuchName("field of the context to be given", name, fields, hook.context.name)
        field = fields[name]
        memory[field.host_offset : field.host_offset + field.size] = _bytes_of(field, value)
    return context


def _scalars(hook: HookPoint) -> dict[str, ContextField]:
    return {field.name: field for field in hook.context.fields if field.kind is FieldKind.SCALAR}


def _beside(hook: HookPoint, name: str) -> ContextField:
    """A field that only helpers see: it has no place in the guest's context."""
    return ContextField.of(hook.host, name, -1, getattr(hook.host, name).size)


def _bytes_of(field: ContextField, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        if len(value) != field.size:
            raise ValueUnfit(f"{field.name} is given as {len(value)} bytes", hint=f"it has {field.size}")
        return value
    if not 0 <= value < 1 << 8 * field.size:
        raise ValueUnfit(f"{field.name} is {value}", hint=f"it has {field.size} bytes, without a sign")
    return value.to_bytes(field.size, "little")


def _fields_of(hook: HookPoint, context: HostContext) -> dict[str, int | bytes]:
    memory = bytes(context)
    found: dict[str, int | bytes] = {}
    for name, field in _scalars(hook).items():
        content = memory[field.host_offset : field.host_offset + field.size]
        found[name] = int.from_bytes(content, "little") if field.size <= LONGEST_NUMBER else content
    for name in hook.helper_outputs:
        found[name] = bytes(getattr(context, name))[: getattr(context, f"{name}_size")]
    return found
