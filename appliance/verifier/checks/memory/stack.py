"""When an access to the stack is allowed: -512 <= place, place + size <= 0, counted from r10; what is read was written,
and is not a part of a pointer.

A dynptr on the stack may be written over, and is gone then, unless it must be submitted or discarded; never read.
"""

from __future__ import annotations

from appliance.ebpf.isa.instructions import STACK_SIZE
from appliance.verifier.checks.memory.requests import Purpose, Request
from appliance.verifier.domains.values import DYNPTR_KINDS, Kind, Pointer
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State


def demand_stack(environment: Environment, state: State, request: Request) -> None:
    low, high, base = request.low, request.high, request.pointer.base
    if low < -STACK_SIZE or high > 0:
        raise Violation(
            Rejection.STACK_BOUNDS,
            f"{request.purpose.value} {request.span('stack ')} from r10, but the stack is bytes -{STACK_SIZE} to -1",
            f"a program's local variables together may have {STACK_SIZE} bytes; keep array indexes inside their array",
        )
    environment.frames.use_stack(request.pointer.id, -low)
    function, own = environment.frames.active[request.pointer.id], request.pointer.id == state.depth
    environment.facts.stack.touch((environment.index, request.register), function, own, low, high)
    if request.purpose is Purpose.USE:
        return
    if request.purpose in (Purpose.WRITE, Purpose.FILL, Purpose.KEEP):
        _demand_no_dynptr(state, request)
        return
    whole = request.purpose is Purpose.READ and request.pointer.variable.constant is not None
    kept = stack_cells.read(state.stack, low + base, request.size) if whole else None
    if kept is not None and not (type(kept) is Pointer and kept.kind in DYNPTR_KINDS):
        return
    bad = stack_cells.first_unreadable(state.stack, low + base, high + base)
    if bad is None:
        return
    held = stack_cells.holder(state.stack, bad)
    if state.dynptrs_in(bad, bad + 1):
        raise Violation(
            Rejection.DYNPTR_ACCESS,
            f"{request.purpose.value} {request.span('stack ')} from r10, but byte {bad - base} is a part of a dynptr",
            "dynptr_read and dynptr_data get at what it is about",
        )
    reason = "was not written on this path" if held is None else "is a part of a pointer that was saved there"
    raise Violation(
        Rejection.UNINITIALISED_STACK,
        f"{request.purpose.value} {request.span('stack ')} from r10, but byte {bad - base} {reason}",
        "initialise the whole variable on every path, the padding of structures included (memset)"
        if held is None
        else "pointers may be saved on the stack, but only be read back whole",
    )


def _demand_no_dynptr(state: State, request: Request) -> None:
    """What is written leaves those dynptrs alone that it may not end: a store knows which one it ends."""
    base = request.pointer.base
    ends = request.purpose is Purpose.KEEP or (
        request.purpose is Purpose.WRITE and request.pointer.variable.constant is not None
    )
    for dynptr in state.dynptrs_in(request.low + base, request.high + base):
        if dynptr.kind is Kind.RING_DYNPTR:
            raise Violation(
                Rejection.DYNPTR_ACCESS,
                f"{request.purpose.value} {request.span('stack ')} from r10, where {dynptr} is",
                "submit or discard it first",
            )
        if not ends:
            raise Violation(
                Rejection.DYNPTR_ACCESS,
                f"{request.purpose.value} {request.span('stack ')} from r10, where {dynptr} is",
                "use another variable: only plain stores at a known place may end a dynptr",
            )
