"""What changes the frame or its destination. Limits are the kernel's (net/core/filter.c, bpf_xdp_adjust_*).

hard_start     data_meta  data               data_end     hard_end
    |<── head ────>|        |                    |<── tail ──>|
                            |<- at least 14 ---->|
"""

from __future__ import annotations

import errno

from appliance.helpers.native.call import HelperCall
from appliance.ir import I1, I64, PTR, VOID, Value, Variable, external
from hooks.contract import Verdict

ETH_HLEN = 14


def xdp_adjust_head(call: HelperCall) -> Value:
    """Move the frame's start by a signed 32-bit offset; metadata in front of it moves along. 0 or -EINVAL."""
    code, offset = call.code, _offset(call)
    data, meta, data_end = (call.field(name).load() for name in ("data", "data_meta", "data_end"))
    metadata_size = code.sub(data, meta)
    start, lowest = code.add(data, offset), code.add(call.field("hard_start").load(), metadata_size)
    outside = code.or_(code.compare(start, "<", lowest), code.compare(code.add(start, ETH_HLEN), ">", data_end))
    result = code.variable(I64, -errno.EINVAL)
    with code.if_(code.builder.not_(outside), likely=True):
        moved = code.add(meta, offset)
        with code.if_(code.compare(metadata_size, "!=", 0), likely=False):
            memmove = external(code.module, "llvm.memmove.p0.p0.i64", VOID, PTR, PTR, I64, I1)
            code.call(memmove, code.pointer(moved), code.pointer(meta), metadata_size, 0)
        call.field("data").store(start)
        call.field("data_meta").store(moved)
        result.set(0)
    return result.get()


def xdp_adjust_tail(call: HelperCall) -> Value:
    """Move the frame's end by a signed 32-bit offset; bytes won are zero. 0 or -EINVAL."""
    code, offset = call.code, _offset(call)
    data, data_end = (call.field(name).load() for name in ("data", "data_end"))
    end = code.add(data_end, offset)
    too_far = code.compare(end, ">", call.field("hard_end").load())
    too_short = code.compare(end, "<", code.add(data, ETH_HLEN))
    result = code.variable(I64, -errno.EINVAL)
    with code.if_(code.builder.not_(code.or_(too_far, too_short)), likely=True):
        with code.if_(code.compare_signed(offset, ">", 0)):
            code.fill(code.pointer(data_end), 0, offset)
        call.field("data_end").store(end)
        result.set(0)
    return result.get()


def redirect(call: HelperCall) -> Value:
    """Name the interface that a REDIRECT verdict sends to. The number of REDIRECT, or of ABORTED if flags are given."""
    code = call.code
    flagged = code.compare(call.arguments[1], "!=", 0)
    target: Variable = code.variable(I64, call.hook.number(Verdict.ABORTED))
    with code.if_(code.builder.not_(flagged), likely=True):
        call.field("redirect_ifindex").store(call.low(0))
        target.set(call.hook.number(Verdict.REDIRECT))
    return target.get()


def _offset(call: HelperCall) -> Value:
    return call.code.builder.sext(call.low(1), I64)
