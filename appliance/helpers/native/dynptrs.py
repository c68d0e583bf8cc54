"""Dynptrs: memory of a size that is known only when the program runs. Layout: helpers/dynptrs.py.

Sizes and offsets have 32 bits, so that sums of two don't wrap in 64.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

from appliance.helpers.dynptrs import LOCAL, MOST, RINGBUF, Dynptr
from appliance.helpers.native.call import HelperCall, MapSite
from appliance.helpers.native.maps import dispatch_map, map_memory
from appliance.helpers.native.rings import commit
from appliance.ir import I32, I64, U1, U64


class _Slice(NamedTuple):
    """Some bytes of a dynptr: where, whether it is about anything at all, and whether it has them."""

    address: U64
    nothing: U1
    inside: U1


def dynptr_from_mem(call: HelperCall) -> U64:
    """A dynptr (r4) about r2 bytes of a map value (r1), without flags (r3). 0 or -errno, and then one about nothing."""
    code, size = call.code, call.arguments[1]
    flagged, large = code.compare(call.arguments[2], "!=", 0), code.compare(size, ">", MOST)
    refused = code.or_(flagged, large)
    _make(call, code.select(refused, 0, call.arguments[0]), size, LOCAL)
    return code.select(large, call.number(-errno.E2BIG), code.select(flagged, call.number(-errno.EINVAL), 0))


def ringbuf_reserve_dynptr(call: HelperCall) -> U64:
    """A dynptr (r4) about a record of r2 bytes, without flags (r3). 0 or -errno, and then one about nothing."""
    code, size = call.code, _low(call, 1)
    flagged, large = code.compare(call.arguments[2], "!=", 0), code.compare(size, ">", MOST)
    record = code.variable(I64, 0)

    def reserve(site: MapSite) -> U64:
        return code.integer(code.call(site.functions.reserve, map_memory(call, site), size, 0))

    with code.if_(code.compare(code.or_(flagged, large), "==", 0)):
        record.set(dispatch_map(call, reserve))
    _make(call, record.get(), size, RINGBUF)
    invalid = code.compare(record.get(), "==", 0)
    too_big = code.and_(large, code.xor(flagged, 1))
    return code.select(too_big, call.number(-errno.E2BIG), code.select(invalid, call.number(-errno.EINVAL), 0))


def ringbuf_submit_dynptr(call: HelperCall) -> U64:
    """The record of the dynptr (r1) is to be seen, if there is one."""
    return _release(call, discard=False)


def ringbuf_discard_dynptr(call: HelperCall) -> U64:
    """The record of the dynptr (r1) is never to be seen, if there is one."""
    return _release(call, discard=True)


def dynptr_read(call: HelperCall) -> U64:
    """Copy r2 bytes at r4 of a dynptr (r3) to r1, without flags (r5). 0, or -errno and zeros in all of r1."""
    code, target, size = call.code, call.pointers[0], _low(call, 1)
    part = _slice(call, 2, _low(call, 3), size)
    invalid = code.or_(part.nothing, code.compare(call.arguments[4], "!=", 0))
    with code.if_else(code.and_(part.inside, code.xor(invalid, 1))) as (copied, refused):
        with copied:
            code.move(target, code.pointer(part.address), size)
        with refused:
            code.fill(target, 0, size)
    return code.select(invalid, call.number(-errno.EINVAL), code.select(part.inside, call.number(0), -errno.E2BIG))


def dynptr_write(call: HelperCall) -> U64:
    """Copy r4 bytes at r3 to r2 of a dynptr (r1), without flags (r5). 0 or -errno."""
    code, size = call.code, _low(call, 3)
    part = _slice(call, 0, _low(call, 1), size)
    flagged = code.compare(call.arguments[4], "!=", 0)
    invalid = code.or_(part.nothing, code.and_(part.inside, flagged))
    with code.if_(code.and_(part.inside, code.xor(invalid, 1))):
        code.move(code.pointer(part.address), call.pointers[2], size)
    return code.select(invalid, call.number(-errno.EINVAL), code.select(part.inside, call.number(0), -errno.E2BIG))


def dynptr_data(call: HelperCall) -> U64:
    """The address of the r3 bytes at r2 of a dynptr (r1), or 0 if it has fewer."""
    code = call.code
    part = _slice(call, 0, _low(call, 1), _low(call, 2))
    return code.select(code.and_(part.inside, code.xor(part.nothing, 1)), part.address, 0)


def _low(call: HelperCall, argument: int) -> U64:
    """The argument's low 32 bits, as 64."""
    return call.code.and_(call.arguments[argument], (1 << 32) - 1)


def _make(call: HelperCall, data: U64, size: U64, type_: int) -> None:
    """The dynptr where r4 points; all zero if there is no data."""
    code, place = call.code, call.pointers[3]
    word = code.select(code.compare(data, "==", 0), 0, code.or_(code.resize(size, I32), type_))
    code.field(place, Dynptr, "data").store(data)
    code.field(place, Dynptr, "size").store(word)
    code.field(place, Dynptr, "offset").store(code.value(0, I32))


def _slice(call: HelperCall, argument: int, offset: U64, size: U64) -> _Slice:
    code, place = call.code, call.pointers[argument]
    data = code.field(place, Dynptr, "data").load()
    whole = code.and_(code.resize(code.field(place, Dynptr, "size").load(), I64), MOST)
    inside = code.compare(code.add(offset, size), "<=", whole)
    return _Slice(code.add(data, offset), code.compare(data, "==", 0), inside)


def _release(call: HelperCall, *, discard: bool) -> U64:
    code = call.code
    record = code.field(call.pointers[0], Dynptr, "data").load()
    with code.if_(code.compare(record, "!=", 0)):
        commit(call, code.pointer(record), discard=discard)
    return call.number(0)
