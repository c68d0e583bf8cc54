"""Dynptrs in Python, for the interpreter; `native.dynptrs` says the same in native code."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from appliance.ebpf.interpreter import Dynptr, Helper, HelperCall, Pointer, Value
from appliance.helpers.dynptrs import MOST

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1
_NONE = Dynptr(None, 0)


def dynptr_from_mem(call: HelperCall) -> Value:
    """A dynptr (r4) about r2 bytes of a map value (r1), without flags (r3). 0 or -errno, and then one about nothing."""
    size, flags = call.number(1), call.number(2)
    start = call.pointer(0)
    start.region.read(start.offset, size)
    error = -errno.E2BIG if size > MOST else -errno.EINVAL if flags else 0
    _put(call, 3, _NONE if error else Dynptr(start, size))
    return error & M64


def ringbuf_reserve_dynptr(call: HelperCall) -> Value:
    """A dynptr (r4) about a record of r2 bytes, without flags (r3). 0 or -errno, and then one about nothing."""
    map_, size, flags = call.map(0), call.number(1) & M32, call.number(2)
    error = -errno.EINVAL if flags else -errno.E2BIG if size > MOST else 0
    record = None if error else map_.reserve(size, 0)
    if record is None:
        _put(call, 3, _NONE)
        return (error or -errno.EINVAL) & M64
    _put(call, 3, Dynptr(call.machine.references.reserve_record(map_, record), size))
    return 0


def ringbuf_submit_dynptr(call: HelperCall) -> None:
    """The record of the dynptr (r1) is to be seen, if there is one."""
    _release(call, discard=False)


def ringbuf_discard_dynptr(call: HelperCall) -> None:
    """The record of the dynptr (r1) is never to be seen, if there is one."""
    _release(call, discard=True)


def dynptr_read(call: HelperCall) -> Value:
    """Copy r2 bytes at r4 of a dynptr (r3) to r1, without flags (r5). 0, or -errno and zeros in all of r1."""
    size, start = call.number(1), _start(call, 2)
    place = None if start is None or call.number(4) else _inside(call, 2, call.number(3), size)
    call.write(0, bytes(size) if place is None else place.region.read(place.offset, size))
    return 0 if place is not None else _error(start is None or call.number(4) != 0)


def dynptr_write(call: HelperCall) -> Value:
    """Copy r4 bytes at r3 to r2 of a dynptr (r1), without flags (r5). 0 or -errno."""
    size, start = call.number(3), _start(call, 0)
    data = call.read(2, size)
    place = _inside(call, 0, call.number(1), size)
    if place is None or call.number(4):
        return _error(start is None or place is not None)
    place.region.write(place.offset, data)
    return 0


def dynptr_data(call: HelperCall) -> Value:
    """A pointer to the r3 bytes at r2 of a dynptr (r1), or null if it has fewer."""
    place = _inside(call, 0, call.number(1), call.number(2))
    return 0 if place is None else place


def _put(call: HelperCall, argument: int, dynptr: Dynptr) -> None:
    place = call.pointer(argument)
    place.region.put_dynptr(place.offset, dynptr)


def _start(call: HelperCall, argument: int) -> Pointer | None:
    place = call.pointer(argument)
    return place.region.dynptr(place.offset).start


def _inside(call: HelperCall, argument: int, offset: int, size: int) -> Pointer | None:
    """The place of `size` bytes; None if the dynptr does not have them."""
    place = call.pointer(argument)
    start, whole = place.region.dynptr(place.offset)
    offset, size = offset & M32, size & M32
    return None if start is None or offset + size > whole else Pointer(start.region, start.offset + offset)


def _error(invalid: bool) -> int:
    return -(errno.EINVAL if invalid else errno.E2BIG) & M64


def _release(call: HelperCall, *, discard: bool) -> None:
    start, place = _start(call, 0), call.pointer(0)
    if start is not None:
        call.machine.references.release_record(start, call.number(1), discard=discard)
    place.region.end_dynptr(place.offset)


HELPERS: Mapping[str, Helper] = {
    "dynptr_from_mem": dynptr_from_mem,
    "ringbuf_reserve_dynptr": ringbuf_reserve_dynptr,
    "ringbuf_submit_dynptr": ringbuf_submit_dynptr,
    "ringbuf_discard_dynptr": ringbuf_discard_dynptr,
    "dynptr_read": dynptr_read,
    "dynptr_write": dynptr_write,
    "dynptr_data": dynptr_data,
}
