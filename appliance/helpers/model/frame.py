"""The helpers that work on the frame, in Python."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from appliance.ebpf.interpreter import Context, Helper, HelperCall, Value

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1


def xdp_adjust_head(call: HelperCall) -> Value:
    """Move the frame's start by a signed 32-bit distance (r2). 0 or -EINVAL."""
    return given_context(call).packet.adjust_head(_distance(call)) & M64


def xdp_adjust_tail(call: HelperCall) -> Value:
    """Move the frame's end by a signed 32-bit distance (r2); bytes won are zero. 0 or -EINVAL."""
    return given_context(call).packet.adjust_tail(_distance(call)) & M64


def xdp_adjust_meta(call: HelperCall) -> Value:
    """Move the start of the metadata by a signed 32-bit distance (r2). 0, -EINVAL or -EACCES."""
    return given_context(call).packet.adjust_meta(_distance(call)) & M64


def xdp_get_buff_len(call: HelperCall) -> Value:
    """The frame's length in bytes."""
    packet = given_context(call).packet
    return packet.data_end - packet.data


def xdp_load_bytes(call: HelperCall) -> Value:
    """Copy frame bytes from the offset r2 on to the memory r3 of r4 bytes, or zeros in an error. 0 or -errno."""
    packet, (offset, size, error) = given_context(call).packet, _frame_bytes(call)
    call.write(2, bytes(size) if error else packet.region.read(offset, size))
    return error & M64


def xdp_store_bytes(call: HelperCall) -> Value:
    """Copy the memory r3 of r4 bytes over the frame from the offset r2 on. 0 or -errno, and then nothing is copied."""
    packet, (offset, size, error) = given_context(call).packet, _frame_bytes(call)
    content = call.read(2, size)
    if not error:
        packet.region.write(offset, content)
    return error & M64


def _frame_bytes(call: HelperCall) -> tuple[int, int, int]:
    """The offset r2, the size r4, and whether the frame has such bytes: 0, -EFAULT for numbers of more than 16 bits,
    -EINVAL for bytes behind the frame."""
    offset, size, packet = call.number(1) & M32, call.number(3) & M32, given_context(call).packet
    if offset | size > 0xFFFF:
        return offset, size, -errno.EFAULT
    return offset, size, -errno.EINVAL if offset + size > packet.data_end - packet.data else 0


def given_context(call: HelperCall) -> Context:
    """The context, which r1 must point to the start of."""
    pointer = call.pointer(0)
    if pointer.region is not call.context or pointer.offset:
        raise call.refuse(0, "the context")
    return call.context


def _distance(call: HelperCall) -> int:
    distance = call.number(1) & M32
    return distance - (distance >> 31 << 32)


HELPERS: Mapping[str, Helper] = {
    "xdp_adjust_head": xdp_adjust_head,
    "xdp_adjust_tail": xdp_adjust_tail,
    "xdp_adjust_meta": xdp_adjust_meta,
    "xdp_get_buff_len": xdp_get_buff_len,
    "xdp_load_bytes": xdp_load_bytes,
    "xdp_store_bytes": xdp_store_bytes,
}
