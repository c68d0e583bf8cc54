"""The way in: from a receive slot, or from the socket's queue, to a FrameContext that a program can judge.

The kernel takes the outer VLAN tag out of the frame and puts the offload metadata before it; here the tag comes back:

    tp_mac - 10     tp_mac                                tp_mac - 4
    +---------------+-------+-------+------        +------+-------+-----+-------+------
    | virtio_net_hdr| dst   | src   | type …   =>  | dst  | src   | tag | type  | …
    +---------------+-------+-------+------        +------+-------+-----+-------+------

The offload header keeps counting from where the kernel's frame began; `transmit` makes up for what moved since.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.datapath.layout import SCRATCH_HEADROOM, SCRATCH_SIZE, VNET_SIZE, Port, Worker
from appliance.ir import I1, I32, I64, PTR, VOID, Code, Pointer, external
from hooks.contracts.xdp import FrameContext, RedirectKind
from hooks.linux import if_packet as kernel
from hooks.linux.if_packet import tpacket2_hdr
from hooks.linux.socket import MSG_DONTWAIT, MSG_TRUNC

NULL = ir.Constant(PTR, None)


def emit_receive(module: ir.Module) -> ir.Function:
    """`i1 receive(worker, port, slot)`: fill the worker's context and offload header from a slot.

    False if there is no whole frame to be had: it was longer than the slot, and the kernel kept no copy of it or one
    that is longer than the scratch buffer.
    """
    code = Code.define(module, "receive", I1, worker=PTR, port=PTR, slot=PTR)
    code.function.attributes.add("alwaysinline")
    worker, port, slot = code["worker"], code["port"], code["slot"]
    length = code.field(slot, tpacket2_hdr, "tp_len").load()
    complete = code.compare(code.field(slot, tpacket2_hdr, "tp_snaplen").load(), "==", length)
    with code.if_else(complete) as (in_slot, in_queue):
        with in_slot:
            frame = code.at(slot, code.resize(code.field(slot, tpacket2_hdr, "tp_mac").load(), I64))
            room = code.resize(code.field(port, Port, "slot_size").load(), I64)
            code.copy(code.field(worker, Worker, "offload").address, code.at(frame, -VNET_SIZE), VNET_SIZE)
            end = code.at(frame, code.resize(length, I64))
            _describe(code, worker, frame, end, code.at(slot, kernel.TPACKET2_HDRLEN), code.at(slot, room))
        with in_queue:
            end = code.call(_emit_fetch(module), worker, port, code.field(slot, tpacket2_hdr, "tp_status").load())
            with code.if_(code.is_null(end)):
                code.ret(0)
            scratch = code.pointer(code.field(worker, Worker, "scratch").load())
            frame = code.at(scratch, SCRATCH_HEADROOM)
            _describe(code, worker, frame, end, code.at(scratch, VNET_SIZE), code.at(scratch, SCRATCH_SIZE))
    context = code.field(worker, Worker, "context").address
    code.field(context, FrameContext, "ingress_ifindex").store(code.field(port, Port, "ifindex").load())
    tagged = code.and_(code.field(slot, tpacket2_hdr, "tp_status").load(), kernel.TP_STATUS_VLAN_VALID)
    with code.if_(code.compare(tagged, "!=", 0), likely=False):
        code.call(_emit_restore_tag(module), context, slot)
    code.ret(1)
    return code.function


def _describe(code: Code, worker: Pointer, frame: Pointer, end: Pointer, low: Pointer, high: Pointer) -> None:
    """Where the frame is, between which addresses a program may move its ends, and that it is redirected nowhere yet.

    What an earlier frame's program named may be of code that a reload has closed since. The two stores become one.
    """
    context = code.field(worker, Worker, "context").address
    code.field(worker, Worker, "offload_start").store(code.integer(frame))
    places = {"data": frame, "data_meta": frame, "data_end": end, "hard_start": low, "hard_end": high}
    for name, place in places.items():
        code.field(context, FrameContext, name).store(code.integer(place))
    code.field(context, FrameContext, "redirect_ifindex").store(0)
    code.field(context, FrameContext, "redirect_kind").store(RedirectKind.INTERFACE)


def _emit_fetch(module: ir.Module) -> ir.Function:
    """`ptr fetch(worker, port, status)`: bring the frame that no slot holds from the socket's queue into the scratch
    buffer, its offload header into the worker. The end of the frame, or null if there is no whole one.

    MSG_TRUNC: the answer is how long the frame is, and not how much of it there was room for.
    """
    code = Code.define(module, "fetch", PTR, worker=PTR, port=PTR, status=I32)
    worker = code["worker"]
    with code.if_(code.compare(code.and_(code["status"], kernel.TP_STATUS_COPY), "==", 0)):
        code.ret(NULL)
    header = code.at(code.pointer(code.field(worker, Worker, "scratch").load()), SCRATCH_HEADROOM - VNET_SIZE)
    recv = external(module, "recv", I64, I32, PTR, I64, I32)
    room = SCRATCH_SIZE - SCRATCH_HEADROOM + VNET_SIZE
    got = code.call(recv, code.field(code["port"], Port, "fd").load(), header, room, MSG_DONTWAIT | MSG_TRUNC)
    too_short, too_long = code.compare_signed(got, "<", VNET_SIZE + kernel.ETH_HLEN), code.compare(got, ">", room)
    with code.if_(code.or_(too_short, too_long)):
        code.ret(NULL)
    code.copy(code.field(worker, Worker, "offload").address, header, VNET_SIZE)
    code.ret(code.at(header, got))
    return code.function


def _emit_restore_tag(module: ir.Module) -> ir.Function:
    """`void restore_tag(context, slot)`: move both addresses 4 bytes towards the head, write the tag behind them."""
    code = Code.define(module, "restore_tag", VOID, context=PTR, slot=PTR)
    context, slot = code["context"], code["slot"]
    frame = code.pointer(code.field(context, FrameContext, "data").load())
    start = code.at(frame, -kernel.VLAN_HLEN)
    words = [code.load(code.at(frame, offset), I32) for offset in (0, 4, 8)]
    for offset, word in zip((0, 4, 8), words, strict=True):
        code.store(word, code.at(start, offset))
    known = code.and_(code.field(slot, tpacket2_hdr, "tp_status").load(), kernel.TP_STATUS_VLAN_TPID_VALID)
    tpid = code.field(slot, tpacket2_hdr, "tp_vlan_tpid").load()
    tpid = code.select(code.compare(known, "!=", 0), tpid, kernel.ETH_P_8021Q)
    code.store(code.swap_bytes(tpid), code.at(start, 12))
    code.store(code.swap_bytes(code.field(slot, tpacket2_hdr, "tp_vlan_tci").load()), code.at(start, 14))
    for name in ("data", "data_meta"):
        code.field(context, FrameContext, name).store(code.integer(start))
    code.ret()
    return code.function
