"""The offload header that leaves with a frame: what the kernel is still to do to it, counted from where it begins now.

A program may have moved either end of the frame since the kernel described it:

    the kernel's frame     | headers        | checksum covers …            |
                           ^ offload_start  ^ csum_start
    the program's    | new | headers        | checksum covers …   |
                     ^ data                                       ^ data_end
"""

from __future__ import annotations

from appliance.datapath.layout import Worker
from appliance.ir import I1, I16, I64, U1, U8, U64, Code, Pointer
from hooks.linux import if_packet as kernel
from hooks.linux.if_packet import virtio_net_hdr

CHECKSUM_SIZE = 2  # bytes of an Internet checksum (RFC 1071)


def checksum_is_outside(code: Code, worker: Pointer, data: Pointer, length: U64) -> U1:
    """Whether a program has cut off the checksum that is still to be computed, in front or behind.

    The kernel would skip such a frame in the ring and say nothing (virtio_net_hdr_to_skb, skb_partial_csum_set).
    """
    source = code.field(worker, Worker, "offload").address
    outside = code.variable(I1, 0)
    with code.if_(unfinished(code, code.field(source, virtio_net_hdr, "flags").load())):
        start, offset = (
            code.resize(code.field(source, virtio_net_hdr, f"csum_{name}").load(), I64) for name in ("start", "offset")
        )
        start = code.add(start, code.sub(code.field(worker, Worker, "offload_start").load(), code.integer(data)))
        end = code.add(code.add(start, offset), CHECKSUM_SIZE)
        outside.set(code.or_(code.compare_signed(start, "<", 0), code.compare_signed(end, ">", length)))
    return outside.get()


def write_offload(code: Code, worker: Pointer, data: Pointer, length: U64, message: Pointer) -> None:
    """Write the frame's offload header at `message`, its offsets counted from where the frame begins now.

    `hdr_len` is how much the kernel copies at once instead of referring to our pages, which is dearer: all of a frame
    that is not to be cut into segments.
    """
    source = code.field(worker, Worker, "offload").address
    offload = {name: code.field(source, virtio_net_hdr, name).load() for name, _ in virtio_net_hdr._fields_}
    moved = code.sub(code.field(worker, Worker, "offload_start").load(), code.integer(data))
    shift = code.resize(moved, I16)
    to_finish = unfinished(code, offload["flags"])
    segmented = code.compare(offload["gso_type"], "!=", kernel.VIRTIO_NET_HDR_GSO_NONE)
    offload["csum_start"] = code.select(to_finish, code.add(offload["csum_start"], shift), 0)
    offload["csum_offset"] = code.select(to_finish, offload["csum_offset"], 0)
    offload["hdr_len"] = code.select(segmented, code.add(offload["hdr_len"], shift), code.resize(length, I16))
    offload["flags"] = code.and_(offload["flags"], kernel.VIRTIO_NET_HDR_F_NEEDS_CSUM)
    for name, value in offload.items():
        code.field(message, virtio_net_hdr, name).store(value)


def unfinished(code: Code, flags: U8) -> U1:
    """Whether the checksum is still to be computed."""
    return code.compare(code.and_(flags, kernel.VIRTIO_NET_HDR_F_NEEDS_CSUM), "!=", 0)
