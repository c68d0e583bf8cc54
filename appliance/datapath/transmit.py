"""The way out: the worker's frame into a transmit slot, or straight through the socket that has no ring.

The offload header goes right before the frame, so that both leave in one piece:

    transmit slot                                    without a ring, where the frame is
    +--------------+---------------+----------+      ----------+---------------+----------+
    | tpacket2_hdr | virtio_net_hdr| frame    |      headroom  | virtio_net_hdr| frame    |
    +--------------+---------------+----------+      ----------+---------------+----------+
    0              32              42                          data - 10       data

A frame that is still to be cut into segments never goes by the ring, which leaves past the queueing discipline, where
the kernel cuts nothing. What waits in the ring is kicked first, so that no frame overtakes another.

What goes into a slot is written there at once: the header in front of the frame would first have to be fetched for
writing from the processor that received it, and read back behind stores that are not done yet.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.datapath.layout import VNET_SIZE, Port, PortCounters, Worker
from appliance.ir import I16, I32, I64, PTR, VOID, Code, Value, external
from hooks.contracts.xdp import FrameContext
from hooks.linux import if_packet as kernel
from hooks.linux.if_packet import tpacket2_hdr, virtio_net_hdr
from hooks.linux.socket import EAGAIN, EINTR, ENOBUFS, MSG_DONTWAIT

PATIENT_ERRORS = (EAGAIN, EINTR, ENOBUFS)
RETRIES = 256  # failed kicks in a row before what waits in the ring is given up


def emit_transmit(module: ir.Module, flush: ir.Function) -> ir.Function:
    """`void transmit(worker, port)`: send the frame in the worker's context out of `port`, or count why not."""
    code = Code.define(module, "transmit", VOID, worker=PTR, port=PTR)
    worker, port = code["worker"], code["port"]
    context = code.field(worker, Worker, "context").address
    data = code.pointer(code.field(context, FrameContext, "data").load())
    length = code.sub(code.field(context, FrameContext, "data_end").load(), code.integer(data))
    counters = code.field(port, Port, "counters").address

    gso = code.field(code.field(worker, Worker, "offload").address, virtio_net_hdr, "gso_type").load()
    with code.if_(_too_long(code, port, data, length, gso), likely=False):
        code.field(counters, PortCounters, "transmit_too_long").add(1)
        code.ret()
    size = code.add(length, VNET_SIZE)
    room = code.sub(code.field(port, Port, "slot_size").load(), kernel.TPACKET2_TX_OFFSET)
    to_be_cut = code.compare(gso, "!=", kernel.VIRTIO_NET_HDR_GSO_NONE)
    with code.if_(code.or_(to_be_cut, code.compare(size, ">", code.resize(room, I64))), likely=False):
        code.call(flush, port)
        message = code.at(data, -VNET_SIZE)
        _write_offload(code, worker, data, length, message)
        code.call(_emit_send_whole(module), port, message, size)
        code.ret()

    slot = _next_slot(code, port)
    status = code.field(slot, tpacket2_hdr, "tp_status")
    with code.if_(code.compare(status.load_acquire(), "!=", kernel.TP_STATUS_AVAILABLE), likely=False):
        code.call(flush, port)
        with code.if_(code.compare(status.load_acquire(), "!=", kernel.TP_STATUS_AVAILABLE)):
            code.field(counters, PortCounters, "transmit_ring_full").add(1)
            code.ret()
    message = code.at(slot, kernel.TPACKET2_TX_OFFSET)
    _write_offload(code, worker, data, length, message)
    code.copy(code.at(message, VNET_SIZE), data, length)
    code.field(slot, tpacket2_hdr, "tp_len").store(code.resize(size, I32))
    status.store_release(kernel.TP_STATUS_SEND_REQUEST)
    _advance(code, port, "transmit_next", "transmit_slots")
    code.field(port, Port, "transmit_pending").add(1)
    code.field(port, Port, "transmit_pending_bytes").add(length)
    code.ret()
    return code.function


def _too_long(code: Code, port: Value, data: Value, length: Value, gso: Value) -> Value:
    """Whether it is beyond the MTU, one VLAN tag aside, as for a bridge; what is to be cut into segments never is."""
    ethertype = code.swap_bytes(code.load(code.at(data, 12), I16))
    customer, service = (code.compare(ethertype, "==", tag) for tag in (kernel.ETH_P_8021Q, kernel.ETH_P_8021AD))
    tagged = code.or_(customer, service)
    allowance = code.select(tagged, ir.Constant(I64, kernel.VLAN_HLEN), 0)
    limit = code.add(code.resize(code.field(port, Port, "max_frame").load(), I64), allowance)
    whole = code.compare(gso, "==", kernel.VIRTIO_NET_HDR_GSO_NONE)
    return code.and_(whole, code.compare(length, ">", limit))


def _write_offload(code: Code, worker: Value, data: Value, length: Value, message: Value) -> None:
    """Write the frame's offload header at `message`, its offsets counted from where the frame begins now.

    `hdr_len` is how much the kernel copies at once instead of referring to our pages, which is dearer: all of a frame
    that is not to be cut into segments.
    """
    source = code.field(worker, Worker, "offload").address
    offload = {name: code.field(source, virtio_net_hdr, name).load() for name, _ in virtio_net_hdr._fields_}
    moved = code.sub(code.field(worker, Worker, "offload_start").load(), code.integer(data))
    shift = code.resize(moved, I16)
    unfinished = code.compare(code.and_(offload["flags"], kernel.VIRTIO_NET_HDR_F_NEEDS_CSUM), "!=", 0)
    segmented = code.compare(offload["gso_type"], "!=", kernel.VIRTIO_NET_HDR_GSO_NONE)
    offload["csum_start"] = code.select(unfinished, code.add(offload["csum_start"], shift), 0)
    offload["csum_offset"] = code.select(unfinished, offload["csum_offset"], 0)
    offload["hdr_len"] = code.select(segmented, code.add(offload["hdr_len"], shift), code.resize(length, I16))
    offload["flags"] = code.and_(offload["flags"], kernel.VIRTIO_NET_HDR_F_NEEDS_CSUM)
    for name, value in offload.items():
        code.field(message, virtio_net_hdr, name).store(value)


def _next_slot(code: Code, port: Value) -> Value:
    ring = code.pointer(code.field(port, Port, "transmit_ring").load())
    index = code.resize(code.field(port, Port, "transmit_next").load(), I64)
    return code.at(ring, code.mul(index, code.resize(code.field(port, Port, "slot_size").load(), I64)))


def _advance(code: Code, port: Value, cursor: str, slots: str) -> None:
    place = code.field(port, Port, cursor)
    following = code.add(place.load(), 1)
    wrapped = code.compare(following, "==", code.field(port, Port, slots).load())
    place.store(code.select(wrapped, 0, following))


def _count_sent(code: Code, counters: Value, packets: Value, size: Value) -> None:
    code.field(counters, PortCounters, "transmitted_packets").add(packets)
    code.field(counters, PortCounters, "transmitted_bytes").add(size)


def _emit_send_whole(module: ir.Module) -> ir.Function:
    """`void send_whole(port, message, size)`: a frame with its offload header through the socket without a ring."""
    code = Code.define(module, "send_whole", VOID, port=PTR, message=PTR, size=I64)
    send = external(module, "send", I64, I32, PTR, I64, I32)
    counters = code.field(code["port"], Port, "counters").address
    fd = code.field(code["port"], Port, "oversize_fd").load()
    sent = code.call(send, fd, code["message"], code["size"], MSG_DONTWAIT)
    with code.if_else(code.compare_signed(sent, "<", 0)) as (failed, done):
        with failed:
            code.field(counters, PortCounters, "transmit_failed").add(1)
        with done:
            _count_sent(code, counters, ir.Constant(I64, 1), code.sub(code["size"], VNET_SIZE))
    code.ret()
    return code.function


def emit_flush(module: ir.Module) -> ir.Function:
    """`void flush(port)`: tell the kernel to send what stands in the transmit ring.

    What can't be sent yet stays pending and is tried again, but not for ever: a cable that comes back after a minute
    must not carry frames of a minute ago. An error of the socket itself lands in `failed`. Every frame counts once: as
    sent when the kernel has taken it, or as failed.
    """
    code = Code.define(module, "flush", VOID, port=PTR)
    port = code["port"]
    pending, size = code.field(port, Port, "transmit_pending"), code.field(port, Port, "transmit_pending_bytes")
    retries = code.field(port, Port, "transmit_retries")
    with code.if_(code.compare(pending.load(), "==", 0)):
        code.ret()
    send = external(module, "send", I64, I32, PTR, I64, I32)
    errno_location = external(module, "__errno_location", PTR)
    sent = code.call(send, code.field(port, Port, "fd").load(), ir.Constant(PTR, None), 0, MSG_DONTWAIT)
    with code.if_(code.compare_signed(sent, "<", 0), likely=False):
        errno = code.load(code.call(errno_location), I32, align=4)
        retries.add(1)
        with code.if_(code.compare(retries.load(), "<", RETRIES)):
            for patient in PATIENT_ERRORS:
                with code.if_(code.compare(errno, "==", patient)):
                    code.ret()
        with code.if_(code.and_(code.compare(errno, "!=", EAGAIN), code.compare(errno, "!=", ENOBUFS))):
            code.field(port, Port, "failed").store(errno)
        code.call(_emit_give_up(module), port)
    counters = code.field(port, Port, "counters").address
    _count_sent(code, counters, code.resize(pending.load(), I64), size.load())
    pending.store(0)
    size.store(0)
    retries.store(0)
    code.ret()
    return code.function


def _emit_give_up(module: ir.Module) -> ir.Function:
    """`void give_up(port)`: empty the frames that wait in the ring; with PACKET_LOSS the next kick skips them.

    They are pending no more, and count as failed.
    """
    code = Code.define(module, "give_up", VOID, port=PTR)
    port = code["port"]
    ring = code.pointer(code.field(port, Port, "transmit_ring").load())
    slot_size = code.resize(code.field(port, Port, "slot_size").load(), I64)
    failed = code.field(code.field(port, Port, "counters").address, PortCounters, "transmit_failed")
    with code.count(code.resize(code.field(port, Port, "transmit_slots").load(), I64)) as index:
        slot = code.at(ring, code.mul(index, slot_size))
        status = code.field(slot, tpacket2_hdr, "tp_status").load_acquire()
        length = code.field(slot, tpacket2_hdr, "tp_len")
        waits = code.compare(status, "==", kernel.TP_STATUS_SEND_REQUEST)
        with code.if_(code.and_(waits, code.compare(length.load(), "!=", 0))):
            pending, size = code.field(port, Port, "transmit_pending"), code.field(port, Port, "transmit_pending_bytes")
            pending.store(code.sub(pending.load(), 1))
            size.store(code.sub(size.load(), code.sub(code.resize(length.load(), I64), VNET_SIZE)))
            length.store(0)
            failed.add(1)
    code.ret()
    return code.function
