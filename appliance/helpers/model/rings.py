"""Records and locks in Python, for the interpreter; `native.rings` and `native.locks` say the same in native code."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from appliance.ebpf.interpreter import Helper, HelperCall, Value
from appliance.helpers.model.frame import given_context

M64 = (1 << 64) - 1


def ringbuf_output(call: HelperCall) -> Value:
    """A record with the data (r2, r3 bytes), with the flags (r4). 0 or -errno."""
    return call.map(0).output(call.read(1, call.number(2)), call.number(3)) & M64


def ringbuf_reserve(call: HelperCall) -> Value:
    """A pointer to a record of r2 bytes, with the flags (r3), or null."""
    map_ = call.map(0)
    record = map_.reserve(call.number(1), call.number(2))
    return 0 if record is None else call.machine.references.reserve_record(map_, record)


def ringbuf_submit(call: HelperCall) -> None:
    """The record (r1) is to be seen."""
    call.machine.references.release_record(call.pointer(0), call.number(1), discard=False)


def ringbuf_discard(call: HelperCall) -> None:
    """The record (r1) is never to be seen."""
    call.machine.references.release_record(call.pointer(0), call.number(1), discard=True)


def ringbuf_query(call: HelperCall) -> Value:
    """A number about the ring, which one the flags (r2) say."""
    return call.map(0).query(call.number(1))


def perf_event_output(call: HelperCall) -> Value:
    """Send the data (r4, r5 bytes), and bytes of the frame, to the array's (r2) entry that the flags (r3) name. 0 or
    -errno."""
    context, flags, data = given_context(call), call.number(2), call.read(3, call.number(4))
    asked = flags >> 32
    if asked > 0xFFFFF:
        return -errno.EINVAL & M64
    if asked > len(context.packet.frame):
        return -errno.EFAULT & M64
    return call.map(1).sample(flags & (1 << 32) - 1, data + context.packet.frame[:asked]) & M64


def spin_lock(call: HelperCall) -> None:
    """Take the lock (r1)."""
    call.machine.references.lock(call.pointer(0))


def spin_unlock(call: HelperCall) -> None:
    """Give the lock (r1) back."""
    call.machine.references.unlock(call.pointer(0))


HELPERS: Mapping[str, Helper] = {
    "ringbuf_output": ringbuf_output,
    "ringbuf_reserve": ringbuf_reserve,
    "ringbuf_submit": ringbuf_submit,
    "ringbuf_discard": ringbuf_discard,
    "ringbuf_query": ringbuf_query,
    "perf_event_output": perf_event_output,
    "spin_lock": spin_lock,
    "spin_unlock": spin_unlock,
}
