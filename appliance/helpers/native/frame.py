"""What changes the frame. Limits are the kernel's (net/core/filter.c, bpf_xdp_adjust_*).

hard_start     data_meta  data               data_end     hard_end
    |<── head ────>|        |                    |<── tail ──>|
                            |<- at least 14 ---->|
"""

from __future__ import annotations

import errno

from appliance.helpers.native.call import HelperCall
from appliance.ir import I64, U64, Pointer

ETH_HLEN = 14
METADATA_MOST = 255


def xdp_adjust_head(call: HelperCall) -> U64:
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
            code.move(code.pointer(moved), code.pointer(meta), metadata_size)
        call.field("data").store(start)
        call.field("data_meta").store(moved)
        result.set(0)
    return result.get()


def xdp_adjust_tail(call: HelperCall) -> U64:
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


def xdp_adjust_meta(call: HelperCall) -> U64:
    """Move the start of the metadata by a signed 32-bit offset. 0; -EINVAL outside of the headroom, -EACCES if its size
    is no multiple of 4 or more than 255 bytes."""
    code = call.code
    meta, data = code.add(call.field("data_meta").load(), _offset(call)), call.field("data").load()
    size = code.sub(data, meta)
    outside = code.or_(code.compare(meta, "<", call.field("hard_start").load()), code.compare(meta, ">", data))
    odd = code.or_(code.compare(code.and_(size, 3), "!=", 0), code.compare(size, ">", METADATA_MOST))
    with code.if_(code.builder.not_(code.or_(outside, odd)), likely=True):
        call.field("data_meta").store(meta)
    return code.select(outside, call.number(-errno.EINVAL), code.select(odd, call.number(-errno.EACCES), 0))


def xdp_get_buff_len(call: HelperCall) -> U64:
    """The frame's length in bytes."""
    length: U64 = call.code.sub(call.field("data_end").load(), call.field("data").load())
    return length


def xdp_load_bytes(call: HelperCall) -> U64:
    """Copy frame bytes from the offset r2 on to the memory r3 of r4 bytes, or zeros in an error. 0 or -errno."""
    code, (place, size, error) = call.code, _place(call)
    with code.if_else(code.compare(error, "==", 0)) as (inside, outside):
        with inside:
            code.move(call.pointers[2], place, size)
        with outside:
            code.fill(call.pointers[2], 0, size)
    return error


def xdp_store_bytes(call: HelperCall) -> U64:
    """Copy the memory r3 of r4 bytes over the frame from the offset r2 on. 0 or -errno, and then nothing is copied."""
    code, (place, size, error) = call.code, _place(call)
    with code.if_(code.compare(error, "==", 0), likely=True):
        code.move(place, call.pointers[2], size)
    return error


def _place(call: HelperCall) -> tuple[Pointer, U64, U64]:
    """The frame's bytes at the offset r2, their number r4, and whether they exist: 0, -EFAULT for numbers of more than
    16 bits, -EINVAL for bytes behind the frame."""
    code = call.code
    offset, size = (code.resize(call.low(argument), I64) for argument in (1, 3))
    data = call.field("data").load()
    end = code.add(data, code.add(offset, size))
    wide = code.compare(code.or_(offset, size), ">", 0xFFFF)
    behind = code.compare(end, ">", call.field("data_end").load())
    error = code.select(behind, call.number(-errno.EINVAL), 0)
    return code.pointer(code.add(data, offset)), size, code.select(wide, call.number(-errno.EFAULT), error)


def _offset(call: HelperCall) -> U64:
    offset: U64 = call.code.builder.sext(call.low(1), I64)
    return offset
