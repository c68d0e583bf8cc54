"""Records for somebody who listens: ring buffers. The operations are those of the map's shape."""

from __future__ import annotations

from appliance.helpers.native.call import HelperCall, MapSite
from appliance.helpers.native.maps import dispatch_map, map_memory
from appliance.ir import U64, Pointer


def ringbuf_output(call: HelperCall) -> U64:
    """A record with the data (r2, r3 bytes), with the flags (r4). 0 or -errno."""
    what = call.pointers[1], call.arguments[2], call.arguments[3]
    return dispatch_map(call, lambda site: call.code.call(site.functions.output, map_memory(call, site), *what))


def ringbuf_reserve(call: HelperCall) -> U64:
    """The address of a record of r2 bytes, with the flags (r3), or 0."""
    code, (_, size, flags) = call.code, call.arguments

    def reserve(site: MapSite) -> U64:
        return code.integer(code.call(site.functions.reserve, map_memory(call, site), size, flags))

    return dispatch_map(call, reserve)


def ringbuf_submit(call: HelperCall) -> U64:
    """The record (r1) is to be seen; the flags (r2) say whether anybody is woken."""
    commit(call, call.pointers[0], discard=False)
    return call.number(0)


def ringbuf_discard(call: HelperCall) -> U64:
    """The record (r1) is never to be seen."""
    commit(call, call.pointers[0], discard=True)
    return call.number(0)


def ringbuf_query(call: HelperCall) -> U64:
    """A number about the ring, which one the flags (r2) say."""
    what = call.arguments[1]
    return dispatch_map(call, lambda site: call.code.call(site.functions.query, map_memory(call, site), what))


def commit(call: HelperCall, record: Pointer, *, discard: bool) -> None:
    """The record is done, with the flags (r2). It knows its ring, so that the code of any ring will do where the paths
    disagree on it; a dynptr that is about nothing has none."""
    for site in call.maps[:1]:
        call.code.call(site.functions.commit, map_memory(call, site), record, call.arguments[1], int(discard))
