"""Samples for who listens to a perf event array, with bytes of the frame behind them if the flags ask for some."""

from __future__ import annotations

import errno

from llvmlite import ir

from appliance.helpers.native.call import HelperCall, MapSite
from appliance.helpers.native.maps import dispatch_map, map_memory
from appliance.ir import I64, U64, Pointer

INDEX_MASK = (1 << 32) - 1  # BPF_F_INDEX_MASK
CONTEXT_SHIFT, CONTEXT_MASK = 32, 0xFFFFF  # BPF_F_CTXLEN_MASK: bytes of the frame


def perf_event_output(call: HelperCall) -> U64:
    """Send the data (r4, r5 bytes) to the array's (r2) entry that the flags (r3) name. 0, -EINVAL for other flags,
    -EFAULT if the frame is shorter than asked, or what the array answers."""
    code, flags = call.code, call.arguments[2]
    packet, length = _frame(call)
    asked = code.and_(code.shr(flags, CONTEXT_SHIFT), CONTEXT_MASK)
    known = code.compare(code.and_(flags, ~(CONTEXT_MASK << CONTEXT_SHIFT | INDEX_MASK)), "==", 0)
    answer = code.variable(I64, -errno.EINVAL)
    with code.if_(known):
        answer.set(-errno.EFAULT)
        with code.if_(code.compare(asked, "<=", length)):
            index, processor = code.and_(flags, INDEX_MASK), call.field("processor_id").load()

            def sample(site: MapSite) -> U64:
                what = index, call.pointers[3], call.arguments[4], packet, asked
                status: U64 = code.call(site.functions.sample, map_memory(call, site), processor, *what)
                return status

            answer.set(dispatch_map(call, sample))
    return answer.get()


def _frame(call: HelperCall) -> tuple[Pointer, U64]:
    """Where it begins, and its length; no bytes if the hook has none."""
    if not call.has_field("data_end"):
        return call.context, ir.Constant(I64, 0)
    start, end = (call.field(name).load() for name in ("data", "data_end"))
    return call.code.pointer(start), call.code.sub(end, start)
