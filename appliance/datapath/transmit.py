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

from appliance.datapath.kick import count_sent, slot_at
from appliance.datapath.layout import VNET_SIZE, Port, PortCounters, Worker
from appliance.datapath.offload import checksum_is_outside, write_offload
from appliance.ir import I16, I32, I64, PTR, U1, U8, U64, VOID, Code, Pointer, external
from hooks.contracts.xdp import FrameContext
from hooks.linux import if_packet as kernel
from hooks.linux.if_packet import tpacket2_hdr, virtio_net_hdr
from hooks.linux.socket import MSG_DONTWAIT


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
    with code.if_(checksum_is_outside(code, worker, data, length), likely=False):
        code.field(counters, PortCounters, "transmit_failed").add(1)
        code.ret()
    size = code.add(length, VNET_SIZE)
    room = code.sub(code.field(port, Port, "slot_size").load(), kernel.TPACKET2_TX_OFFSET)
    to_be_cut = code.compare(gso, "!=", kernel.VIRTIO_NET_HDR_GSO_NONE)
    with code.if_(code.or_(to_be_cut, code.compare(size, ">", code.resize(room, I64))), likely=False):
        code.call(flush, port)
        message = code.at(data, -VNET_SIZE)
        write_offload(code, worker, data, length, message)
        code.call(_emit_send_whole(module), port, message, size)
        code.ret()

    slot = _free_slot(code, port, flush)
    message = code.at(slot, kernel.TPACKET2_TX_OFFSET)
    write_offload(code, worker, data, length, message)
    code.copy(code.at(message, VNET_SIZE), data, length)
    code.field(slot, tpacket2_hdr, "tp_len").store(code.resize(size, I32))
    code.field(slot, tpacket2_hdr, "tp_status").store_release(kernel.TP_STATUS_SEND_REQUEST)
    _advance(code, port)
    code.field(port, Port, "transmit_pending").add(1)
    code.field(port, Port, "transmit_pending_bytes").add(length)
    code.ret()
    return code.function


def _free_slot(code: Code, port: Pointer, flush: ir.Function) -> Pointer:
    """The next slot, if need be after a kick, which may also go back to an earlier one; or count that there is none."""

    def following() -> tuple[Pointer, U1]:
        slot = slot_at(code, port, code.field(port, Port, "transmit_next").load())
        status = code.field(slot, tpacket2_hdr, "tp_status").load_acquire()
        return slot, code.compare(status, "!=", kernel.TP_STATUS_AVAILABLE)

    first, taken = following()
    free = code.variable(I64, code.integer(first))
    with code.if_(taken, likely=False):
        code.call(flush, port)
        second, taken = following()
        with code.if_(taken):
            code.field(code.field(port, Port, "counters").address, PortCounters, "transmit_ring_full").add(1)
            code.ret()
        free.set(code.integer(second))
    return code.pointer(free.get())


def _advance(code: Code, port: Pointer) -> None:
    cursor = code.field(port, Port, "transmit_next")
    following = code.add(cursor.load(), 1)
    wrapped = code.compare(following, "==", code.field(port, Port, "transmit_slots").load())
    cursor.store(code.select(wrapped, 0, following))


def _too_long(code: Code, port: Pointer, data: Pointer, length: U64, gso: U8) -> U1:
    """Whether it is beyond the MTU, one VLAN tag aside, as for a bridge; what is to be cut into segments never is."""
    ethertype = code.swap_bytes(code.load(code.at(data, 12), I16))
    customer, service = (code.compare(ethertype, "==", tag) for tag in (kernel.ETH_P_8021Q, kernel.ETH_P_8021AD))
    tagged = code.or_(customer, service)
    allowance = code.select(tagged, ir.Constant(I64, kernel.VLAN_HLEN), 0)
    limit = code.add(code.resize(code.field(port, Port, "max_frame").load(), I64), allowance)
    whole = code.compare(gso, "==", kernel.VIRTIO_NET_HDR_GSO_NONE)
    return code.and_(whole, code.compare(length, ">", limit))


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
            count_sent(code, code["port"], ir.Constant(I64, 1), code.sub(code["size"], VNET_SIZE))
    code.ret()
    return code.function
