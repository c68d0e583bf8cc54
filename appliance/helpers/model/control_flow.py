"""Helpers that pass control on, in Python, for the interpreter; `native.flow` says the same in native code."""

from __future__ import annotations

import errno
from collections.abc import Generator, Mapping

from appliance.ebpf.interpreter import Helper, HelperCall, Invocation, Region, TailCall, Value
from appliance.ebpf.interpreter import Pointer as Place
from appliance.helpers.limits import MAX_LOOPS, MAX_TAIL_CALLS
from appliance.helpers.model.frame import given_context

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1


def tail_call(call: HelperCall) -> Value | TailCall:
    """Go on in the program at the index r3 of the array r2, for good. Where there is none, or after 33 tail calls, go
    on behind the call."""
    given_context(call)
    name = call.map(1).program(call.number(2) & M32)
    if name is None or call.machine.tail_calls >= MAX_TAIL_CALLS:
        return 0
    return TailCall(name)


def loop(call: HelperCall) -> Generator[Invocation, int, Value]:
    """Call the function r2 with 0, 1, 2 … below r1, and r3, until it returns another number than 0. How often it was
    called; -EINVAL if there are flags (r4), -E2BIG for more than MAX_LOOPS."""
    iterations, function, context = call.number(0) & M32, call.function(1), call.value(2)
    if call.number(3):
        return -errno.EINVAL & M64
    if iterations > MAX_LOOPS:
        return -errno.E2BIG & M64
    for index in range(iterations):
        if (yield Invocation(function, (index, context))):
            return index + 1
    return iterations


def for_each_map_elem(call: HelperCall) -> Generator[Invocation, int, Value]:
    """Call the function r2 with the map r1, each key and value in it, and r3, until it returns another number than 0.
    How often it was called; -EINVAL if there are flags (r4)."""
    handle, map_, function, context = call.value(0), call.map(0), call.function(1), call.value(2)
    if call.number(3):
        return -errno.EINVAL & M64
    visited, keys = 0, map_.keys()
    for key in keys:
        value = map_.visit(key)
        if value is None:
            continue  # a callback deleted it
        visited += 1
        region = Region(f"a key of the map {map_.spec.name!r}", bytearray(key), writable=False)
        place = Place(region, 0)
        stops = yield Invocation(function, (handle, place, call.machine.value_pointer(map_, value), context))
        region.end("of an element that the walk has left")
        if stops:
            break
    return visited


FLOW_HELPERS: Mapping[str, Helper] = {
    "tail_call": tail_call,
    "loop": loop,
    "for_each_map_elem": for_each_map_elem,
}
