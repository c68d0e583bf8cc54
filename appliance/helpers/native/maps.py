"""Map operations: calls of the native functions of the map's shape, which LLVM inlines where that pays.

Where the paths into a call disagree on the map, it is found by its address among those that it may be:

    r1 == A ──> lookup in A ──┐
    r1 == B ──> lookup in B ──┼──> r0
    else ─────> 0 ────────────┘
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.helpers.native.call import HelperCall, MapSite
from appliance.ir import I64, Value


def map_lookup_elem(call: HelperCall) -> Value:
    """The address of the value under the key (r2), or 0."""
    key, processor = call.pointers[1], call.field("processor_id").load()

    def lookup(site: MapSite) -> Value:
        return call.code.integer(call.code.call(site.functions.lookup, _memory(call, site), key, processor))

    return _on_the_map(call, lookup)


def map_update_elem(call: HelperCall) -> Value:
    """Put the value (r3) under the key (r2) with the flags (r4). 0 or -errno."""
    (_, key, value, *_), flags = call.pointers, call.arguments[3]
    processor = call.field("processor_id").load()

    def update(site: MapSite) -> Value:
        return call.code.call(site.functions.update, _memory(call, site), key, value, flags, processor)

    return _on_the_map(call, update)


def map_delete_elem(call: HelperCall) -> Value:
    """Remove the key (r2) and its value. 0 or -errno."""
    key = call.pointers[1]
    return _on_the_map(call, lambda site: call.code.call(site.functions.delete, _memory(call, site), key))


def _memory(call: HelperCall, site: MapSite) -> Value:
    return call.code.address(site.address)


def _on_the_map(call: HelperCall, operation: Callable[[MapSite], Value]) -> Value:
    if call.map is not None:
        return operation(call.map)
    code, result = call.code, call.code.variable(I64, 0)
    for site in call.maps:
        with code.if_(code.compare(call.arguments[0], "==", site.address)):
            result.set(operation(site))
    return result.get()
