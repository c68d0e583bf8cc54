"""One batch of one worker's packet loop: serve every port, and kick what is to be sent. `driver` calls it for ever.

batch(worker):
    for each port:  serve it with its program       (up to BATCH frames)
    for each port:  flush its transmit ring
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from llvmlite import ir

from appliance.datapath.kick import emit_flush
from appliance.datapath.layout import SOCKET_FAILED, VERDICTS, VNET_SIZE, Port, PortCounters, Worker
from appliance.datapath.receive import emit_receive
from appliance.datapath.redirect import emit_cross, emit_redirect
from appliance.datapath.transmit import emit_transmit
from appliance.datapath.unfinished import finish, take_back
from appliance.ir import I32, I64, PTR, U1, U32, U64, VOID, Code, Pointer, external
from appliance.jit.entries import Entries
from hooks.contracts.contract import HookPoint, Verdict
from hooks.contracts.xdp import FrameContext
from hooks.linux import if_packet as kernel
from hooks.linux.if_packet import tpacket2_hdr

BATCH = 256  # frames served before the other ports get their turn and what is to leave is kicked
AHEAD = 2  # slots whose memory is asked for before their turn comes
CACHE_LINE = 64  # bytes


@dataclass(frozen=True, slots=True)
class PacketLoops:
    """What `Collection.load` calls to have the packet loop written beside the programs of those names."""

    hook: HookPoint
    inward: str
    outward: str

    def __call__(self, module: ir.Module, programs: Entries) -> None:
        ways = {"inward": self.inward, "outward": self.outward}
        writers = {way for way, name in ways.items() if name in programs.writers}
        emit_loop(module, Entries({way: programs[name] for way, name in ways.items()}, writers), self.hook)


def emit_loop(module: ir.Module, programs: Entries, hook: HookPoint) -> None:
    """Write `i64 batch(worker)` around the programs; a port's `program` is an index into their order.

    It returns how many frames were served, or SOCKET_FAILED if a socket of the worker did."""
    flush = emit_flush(module)
    transmit = emit_transmit(module, flush)
    receive = emit_receive(module)
    serve = [
        _emit_serve(module, name, program, hook, receive, transmit, writes=name in programs.writers)
        for name, program in programs.items()
    ]

    code = Code.define(module, "batch", I64, linkage="external", worker=PTR)
    worker = code["worker"]
    count = code.resize(code.field(worker, Worker, "port_count").load(), I64)
    first = code.field(worker, Worker, "ports").address
    served, failed = code.variable(I64, 0), code.variable(I32, 0)
    with code.count(count) as index:
        port = code.at(first, code.mul(index, ctypes.sizeof(Port)))
        chosen = code.field(port, Port, "program").load()
        for number, function in enumerate(serve):
            with code.if_(code.compare(chosen, "==", number)):
                served.add(code.call(function, worker, port))
    with code.count(count) as index:
        port = code.at(first, code.mul(index, ctypes.sizeof(Port)))
        code.call(flush, port)
        failed.set(code.or_(failed.get(), code.field(port, Port, "failed").load()))
    with code.if_(code.compare(failed.get(), "!=", 0), likely=False):
        code.ret(SOCKET_FAILED)
    code.ret(served.get())


def _emit_serve(
    module: ir.Module,
    name: str,
    program: ir.Function,
    hook: HookPoint,
    receive: ir.Function,
    transmit: ir.Function,
    *,
    writes: bool,
) -> ir.Function:
    """`i64 serve_NAME(worker, port)`: judge up to BATCH received frames; how many there were. A program that `writes`
    into frames gets them finished (`unfinished`)."""
    code = Code.define(module, f"serve_{name}", I64, worker=PTR, port=PTR)
    worker, port = code["worker"], code["port"]
    ring = code.pointer(code.field(port, Port, "receive_ring").load())
    slot_size = code.resize(code.field(port, Port, "slot_size").load(), I64)
    slots = code.field(port, Port, "receive_slots").load()
    cursor = code.field(port, Port, "receive_next")
    counters = code.field(port, Port, "counters").address
    served = code.variable(I64, 0)
    with code.loop() as loop:
        loop.break_if(code.compare(served.get(), ">=", BATCH))
        slot = code.at(ring, code.mul(code.resize(cursor.load(), I64), slot_size))
        status = code.field(slot, tpacket2_hdr, "tp_status")
        loop.break_if(code.compare(code.and_(status.load_acquire(), kernel.TP_STATUS_USER), "==", 0))
        _prefetch(code, slot, slot_size)
        with code.if_else(code.call(receive, worker, port, slot)) as (whole, truncated):
            with whole:
                if writes:
                    finish(code, worker)
                verdict = judge(code, worker, counters, program, hook)
                with code.if_(code.compare(code.field(port, Port, "enforce").load(), "!=", 0), likely=True):
                    if writes:
                        take_back(code, worker)
                    _carry_out(code, worker, port, verdict, transmit)
            with truncated:
                code.field(counters, PortCounters, "truncated").add(1)
        status.store_release(kernel.TP_STATUS_KERNEL)
        following = code.add(cursor.load(), 1)
        cursor.store(code.select(code.compare(following, "==", slots), 0, following))
        served.add(1)
    code.ret(served.get())
    return code.function


def _prefetch(code: Code, slot: Pointer, slot_size: U64) -> None:
    """Ask for what will be read of a slot further on: its header and the frame's first lines.

    Another processor wrote them, and a program is too long for this one to run ahead into the next frame by itself: the
    wait would come to a tenth of the worker's time. A frame stands in its slot where this one does.
    """
    prefetch = external(code.module, "llvm.prefetch.p0", VOID, PTR, I32, I32, I32)
    ahead = code.at(slot, code.mul(slot_size, AHEAD))
    frame = code.at(ahead, code.sub(code.resize(code.field(slot, tpacket2_hdr, "tp_mac").load(), I64), VNET_SIZE))
    for line in (ahead, frame, code.at(frame, CACHE_LINE)):
        code.call(prefetch, line, 0, 3, 1)  # to read, into every level of the data cache


def judge(code: Code, worker: Pointer, counters: Pointer, program: ir.Function, hook: HookPoint) -> U32:
    """Run the program on the worker's frame and count it; the verdict as an index into VERDICTS (32 bits)."""
    context = code.field(worker, Worker, "context").address
    size = code.sub(
        code.field(context, FrameContext, "data_end").load(), code.field(context, FrameContext, "data").load()
    )
    code.field(counters, PortCounters, "received_packets").add(1)
    code.field(counters, PortCounters, "received_bytes").add(size)
    answer = code.resize(code.call(program, context), I32)
    verdict: U32 = ir.Constant(I32, VERDICTS.index(hook.otherwise))
    for number, meaning in hook.verdicts.items():
        verdict = code.select(code.compare(answer, "==", number), ir.Constant(I32, VERDICTS.index(meaning)), verdict)
    offset = code.mul(code.resize(verdict, I64), 8)
    for name, amount in (("verdict_packets", ir.Constant(I64, 1)), ("verdict_bytes", size)):
        place = code.at(code.field(counters, PortCounters, name).address, offset)
        code.store(code.add(code.load(place, I64, align=8), amount), place, align=8)
    return verdict


def _carry_out(code: Code, worker: Pointer, port: Pointer, verdict: U32, transmit: ir.Function) -> None:
    """PASS crosses to the peer, TX goes back, REDIRECT goes where the program said; DROP and ABORTED go nowhere."""

    def verdict_is(meaning: Verdict) -> U1:
        return code.compare(verdict, "==", VERDICTS.index(meaning))

    with code.if_(verdict_is(Verdict.PASS), likely=True):
        emit_cross(code, worker, port, transmit)
    with code.if_(verdict_is(Verdict.TX), likely=False):
        code.call(transmit, worker, port)
    with code.if_(verdict_is(Verdict.REDIRECT), likely=False):
        code.call(emit_redirect(code.module, transmit), worker, port)
