"""The kick: telling the kernel to send what waits in the transmit ring, and finding out what it took.

                 first                       transmit_next
    +------+-----+------+------+------+------+------+------
    | free | … D | wait | wait | wait | wait | free |         wait: SEND_REQUEST   D: SENDING, the device still reads it
    +------+-----+------+------+------+------+------+------
                 |<---- transmit_pending --->|

The kernel goes from slot to slot and stops at the first frame that it can't send; it alone knows how far it came. When
it took every byte, nothing more is to be asked. Otherwise the states of the slots say which frames it took, and those
that it did not take have a limit in time:

    the first has been refused for FIRST_WAITS     it goes, so that a frame that the device never takes (longer than the
                                                   other end of a veth pair allows) holds up the others no longer
    nothing has left for ALL_WAIT                  all go: a cable that comes back after a minute must not carry frames
                                                   of a minute ago
    the interface is down, or gone                 all go at once

Each frame counts once: as sent when the kernel has taken it, as failed when it went without being sent.
Source: tpacket_snd and packet_direct_xmit, net/packet/af_packet.c.
"""

from __future__ import annotations

import time

from llvmlite import ir

from appliance.datapath.layout import VNET_SIZE, Port, PortCounters
from appliance.helpers.native.general import clock_gettime
from appliance.ir import I1, I32, I64, PTR, U1, U32, U64, VOID, Code, Pointer, external
from hooks.linux import if_packet as kernel
from hooks.linux.if_packet import tpacket2_hdr
from hooks.linux.socket import EAGAIN, EINTR, ENOBUFS, MSG_DONTWAIT

FIRST_WAITS = 1_000_000  # nanoseconds
ALL_WAIT = 100_000_000  # nanoseconds

# The device or the socket is full, or there is no carrier: it may be better the next time.
TRANSIENT_ERRORS = (EAGAIN, EINTR, ENOBUFS)


def emit_flush(module: ir.Module) -> ir.Function:
    """`void flush(port)`: tell the kernel to send what stands in the transmit ring; see above."""
    code = Code.define(module, "flush", VOID, port=PTR)
    port = code["port"]
    pending, size = code.field(port, Port, "transmit_pending"), code.field(port, Port, "transmit_pending_bytes")
    with code.if_(code.compare(pending.load(), "==", 0)):
        code.ret()
    send = external(module, "send", I64, I32, PTR, I64, I32)
    sent = code.call(send, code.field(port, Port, "fd").load(), ir.Constant(PTR, None), 0, MSG_DONTWAIT)
    with code.if_(code.compare(sent, "!=", size.load()), likely=False):
        code.call(_emit_reap(module), port, _is_transient(code, sent))
        code.ret()
    count_sent(code, port, code.resize(pending.load(), I64), size.load())
    pending.store(0)
    size.store(0)
    _forget_wait(code, port, "first_refused", "nothing_left")
    code.ret()
    return code.function


def count_sent(code: Code, port: Pointer, packets: U64, size: U64) -> None:
    """Count frames that the kernel took, and their bytes."""
    counters = code.field(port, Port, "counters").address
    code.field(counters, PortCounters, "transmitted_packets").add(packets)
    code.field(counters, PortCounters, "transmitted_bytes").add(size)


def slot_at(code: Code, port: Pointer, index: U32) -> Pointer:
    """The transmit slot of that number."""
    ring = code.pointer(code.field(port, Port, "transmit_ring").load())
    return code.at(
        ring, code.mul(code.resize(index, I64), code.resize(code.field(port, Port, "slot_size").load(), I64))
    )


def _is_transient(code: Code, sent: U64) -> U1:
    """Whether a kick that did not send everything failed for a while only. It says so by errno, or by sending less."""
    transient = code.variable(I1, 1)
    with code.if_(code.compare_signed(sent, "<", 0)):
        errno = code.load(code.call(external(code.module, "__errno_location", PTR)), I32, align=4)
        matches = [code.compare(errno, "==", error) for error in TRANSIENT_ERRORS]
        transient.set(code.or_(code.or_(matches[0], matches[1]), matches[2]))
    return transient.get()


def _emit_reap(module: ir.Module) -> ir.Function:
    """`void reap(port, transient)`: the kernel did not send everything. Count what it took; the rest waits, or goes."""
    code = Code.define(module, "reap", VOID, port=PTR, transient=I1)
    port = code["port"]
    took = _count_taken(code, port)
    with code.if_(took):
        _forget_wait(code, port, "first_refused", "nothing_left")
    with code.if_(code.compare(code.field(port, Port, "transmit_pending").load(), "==", 0)):
        code.ret()
    now = clock_gettime(code, time.CLOCK_MONOTONIC)
    first, nothing = (code.field(port, Port, f"transmit_{name}") for name in ("first_refused", "nothing_left"))
    for since in (first, nothing):
        since.store(code.select(code.compare(since.load(), "==", 0), now, since.load()))
    stale = code.compare(code.sub(now, nothing.load()), ">=", ALL_WAIT)
    with code.if_(code.or_(stale, code.builder.not_(code["transient"]))):
        code.call(_emit_cancel(module), port)
        code.ret()
    with code.if_(code.compare(code.sub(now, first.load()), ">=", FIRST_WAITS)):
        _skip_first(code, port)
        _forget_wait(code, port, "first_refused")
    code.ret()
    return code.function


def _count_taken(code: Code, port: Pointer) -> U1:
    """Count the frames before the first one that still waits; whether there were any."""
    pending, size = code.field(port, Port, "transmit_pending"), code.field(port, Port, "transmit_pending_bytes")
    took = code.variable(I1, 0)
    with code.loop() as loop:
        loop.break_if(code.compare(pending.load(), "==", 0))
        slot = _first_slot(code, port)
        status = code.field(slot, tpacket2_hdr, "tp_status").load_acquire()
        loop.break_if(code.compare(status, "==", kernel.TP_STATUS_SEND_REQUEST))
        length = _frame_length(code, slot)
        count_sent(code, port, ir.Constant(I64, 1), length)
        pending.store(code.sub(pending.load(), 1))
        size.store(code.sub(size.load(), length))
        took.set(1)
    return took.get()


def _first_slot(code: Code, port: Pointer) -> Pointer:
    """The first slot of those that wait: `transmit_pending` before the next free one, around the ring's end."""
    following, pending = (code.field(port, Port, f"transmit_{name}").load() for name in ("next", "pending"))
    before = code.sub(following, pending)
    wrapped = code.add(before, code.field(port, Port, "transmit_slots").load())
    return slot_at(code, port, code.select(code.compare(following, "<", pending), wrapped, before))


def _frame_length(code: Code, slot: Pointer) -> U64:
    return code.sub(code.resize(code.field(slot, tpacket2_hdr, "tp_len").load(), I64), VNET_SIZE)


def _skip_first(code: Code, port: Pointer) -> None:
    """Empty the first waiting frame. Its slot stays a request: the kernel stands there and, by PACKET_LOSS, goes past
    what is no frame before it sends the next one."""
    pending, size = code.field(port, Port, "transmit_pending"), code.field(port, Port, "transmit_pending_bytes")
    slot = _first_slot(code, port)
    size.store(code.sub(size.load(), _frame_length(code, slot)))
    pending.store(code.sub(pending.load(), 1))
    code.field(slot, tpacket2_hdr, "tp_len").store(0)
    _count_failed(code, port, ir.Constant(I64, 1))


def _emit_cancel(module: ir.Module) -> ir.Function:
    """`void cancel(port)`: free the slots of all that waits; the next frame takes the first of them.

    There the kernel stands, and it looks into the ring in a kick only.
    """
    code = Code.define(module, "cancel", VOID, port=PTR)
    port = code["port"]
    pending, following = (code.field(port, Port, f"transmit_{name}") for name in ("pending", "next"))
    slots = code.field(port, Port, "transmit_slots").load()
    _count_failed(code, port, code.resize(pending.load(), I64))
    with code.loop() as loop:
        loop.break_if(code.compare(pending.load(), "==", 0))
        at_start = code.compare(following.load(), "==", 0)
        following.store(code.sub(code.select(at_start, slots, following.load()), 1))
        slot = slot_at(code, port, following.load())
        code.field(slot, tpacket2_hdr, "tp_status").store_release(kernel.TP_STATUS_AVAILABLE)
        pending.store(code.sub(pending.load(), 1))
    code.field(port, Port, "transmit_pending_bytes").store(0)
    _forget_wait(code, port, "first_refused", "nothing_left")
    code.ret()
    return code.function


def _count_failed(code: Code, port: Pointer, packets: U64) -> None:
    code.field(code.field(port, Port, "counters").address, PortCounters, "transmit_failed").add(packets)


def _forget_wait(code: Code, port: Pointer, *names: str) -> None:
    for name in names:
        code.field(port, Port, f"transmit_{name}").store(0)
