"""Map operations: calls of the native functions of the map's shape, which LLVM inlines where that pays.

Where the paths into a call disagree on the map, it is found by its address among those that the proof saw there:

    r1 == A ──> lookup in A ──┐
    r1 == B ──> lookup in B ──┼──> r0
    else ─────> 0 ────────────┘
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from appliance.helpers.native.call import HelperCall, MapSite
from appliance.ir import I64, PTR, U64, Pointer


def map_lookup_elem(call: HelperCall) -> U64:
    """The address of the value under the key (r2), or 0."""
    key, processor = call.pointers[1], call.field("processor_id").load()

    def lookup(site: MapSite) -> U64:
        return call.code.integer(call.code.call(site.functions.lookup, map_memory(call, site), key, processor))

    return dispatch_map(call, lookup)


def map_update_elem(call: HelperCall) -> U64:
    """Put the value (r3) under the key (r2) with the flags (r4). 0 or -errno."""
    (_, key, value, *_), flags = call.pointers, call.arguments[3]
    processor = call.field("processor_id").load()

    def update(site: MapSite) -> U64:
        status: U64 = call.code.call(site.functions.update, map_memory(call, site), key, value, flags, processor)
        return status

    return dispatch_map(call, update)


def map_delete_elem(call: HelperCall) -> U64:
    """Remove the key (r2) and its value. 0 or -errno."""
    key = call.pointers[1]
    return dispatch_map(call, lambda site: call.code.call(site.functions.delete, map_memory(call, site), key))


def map_lookup_percpu_elem(call: HelperCall) -> U64:
    """The address of one processor's (r3) value under the key (r2), or 0: there may be no such processor."""
    code, key, processor = call.code, call.pointers[1], call.low(2)

    def lookup(site: MapSite) -> U64:
        found = code.variable(I64, 0)
        with code.if_(code.compare(processor, "<", site.processors)):
            found.set(code.integer(code.call(site.functions.lookup, map_memory(call, site), key, processor)))
        return found.get()

    return dispatch_map(call, lookup)


def map_lookup_and_delete_elem(call: HelperCall) -> U64:
    """The address of the value that was under the key (r2) until now, or 0. Its memory is the next new entry's."""
    code, key, processor = call.code, call.pointers[1], call.field("processor_id").load()

    def lookup_and_delete(site: MapSite) -> U64:
        nowhere = ir.Constant(PTR, None)
        return code.integer(
            code.call(site.functions.lookup_and_delete, map_memory(call, site), key, nowhere, processor)
        )

    return dispatch_map(call, lookup_and_delete)


def map_push_elem(call: HelperCall) -> U64:
    """Put the value (r2) in, with the flags (r3). 0 or -errno."""
    value, flags = call.pointers[1], call.arguments[2]
    return dispatch_map(call, lambda site: call.code.call(site.functions.push, map_memory(call, site), value, flags))


def map_pop_elem(call: HelperCall) -> U64:
    """Take the next value out, to where r2 points: zeros if there is none. 0 or -errno."""
    value = call.pointers[1]
    return dispatch_map(call, lambda site: call.code.call(site.functions.pop, map_memory(call, site), value))


def map_peek_elem(call: HelperCall) -> U64:
    """Copy the next value to where r2 points, or ask a bloom filter for the value there. 0 or -errno."""
    value = call.pointers[1]
    return dispatch_map(call, lambda site: call.code.call(site.functions.peek, map_memory(call, site), value))


def map_memory(call: HelperCall, site: MapSite) -> Pointer:
    """The map's memory."""
    return call.pointers[call.map_argument] if site.address is None else site.address


def dispatch_map(call: HelperCall, operation: Callable[[MapSite], U64]) -> U64:
    """What the operation answers on the map that the call works on."""
    if len(call.maps) == 1:
        return operation(call.maps[0])
    code, result = call.code, call.code.variable(I64, 0)
    for site in call.maps:
        assert site.address is not None  # a map found in a map of maps is the only one of its call
        with code.if_(code.compare(call.arguments[call.map_argument], "==", code.integer(site.address))):
            result.set(operation(site))
    return result.get()
