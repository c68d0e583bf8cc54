"""Frames whose checksum their sender left to a card that it doesn't have, in front of programs that write into frames.

Such a frame's checksum field holds the sum of the pseudo-header alone (NEEDS_CSUM); whoever sends it on a wire adds the
rest. A program that keeps a checksum right by the difference (RFC 1624) makes nonsense of that field, and one that
writes a frame of its own has its checksum added up a second time. So they are shown what is on a wire:

    field = ~(the sum of all from csum_start to the end of the frame, the field included)

That turns the one into the other, either way: pseudo-header + rest + finished field = 0 (RFC 1071). A frame that is
still to be cut into segments must leave unfinished, as each of them has a checksum of its own: it is turned back behind
the program. Programs that write into no frame, and frames that are finished, cost nothing.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.datapath.layout import Worker
from appliance.datapath.offload import CHECKSUM_SIZE, unfinished
from appliance.ir import I8, I16, I32, I64, PTR, U64, VOID, Code, Pointer
from hooks.contracts.xdp import FrameContext
from hooks.linux import if_packet as kernel
from hooks.linux.if_packet import virtio_net_hdr

SCTP_OFFSET = 8  # of SCTP's checksum in its header: that one is a CRC (RFC 9260), and stays unfinished
NEGATIVE_ZERO = 0xFFFF  # a checksum that comes out as 0 is written so, as 0 means none in UDP (RFC 768)
WORD = 4  # bytes added at a time


def finish(code: Code, worker: Pointer) -> None:
    """Show the program a finished frame."""
    offload = code.field(worker, Worker, "offload").address
    with code.if_(unfinished(code, code.field(offload, virtio_net_hdr, "flags").load()), likely=False):
        code.call(_emit_finish(code.module), worker)


def take_back(code: Code, worker: Pointer) -> None:
    """Leave to the kernel again what it must do: of a frame that it is to cut into segments."""
    offload = code.field(worker, Worker, "offload").address
    with code.if_(unfinished(code, code.field(offload, virtio_net_hdr, "flags").load()), likely=False):
        code.call(_emit_take_back(code.module), worker)


def _emit_finish(module: ir.Module) -> ir.Function:
    """`void finish(worker)`: turn it, and note that nothing is left to do, unless it is to be cut."""
    known = module.globals.get("finish")
    if known is not None:
        return known
    code = Code.define(module, "finish", VOID, worker=PTR)
    offload = code.field(code["worker"], Worker, "offload").address
    with code.if_(code.compare(code.field(offload, virtio_net_hdr, "csum_offset").load(), "==", SCTP_OFFSET)):
        code.ret()
    code.call(_emit_turn(module), code["worker"])
    whole = code.field(offload, virtio_net_hdr, "gso_type")
    with code.if_(code.compare(whole.load(), "==", kernel.VIRTIO_NET_HDR_GSO_NONE)):
        code.field(offload, virtio_net_hdr, "flags").store(0)
    code.ret()
    return code.function


def _emit_take_back(module: ir.Module) -> ir.Function:
    """`void take_back(worker)`: turn it back; or, where the program wrote an answer in the place of a super-frame, and
    it is one segment, note that there is nothing to cut and nothing to finish."""
    known = module.globals.get("take_back")
    if known is not None:
        return known
    code = Code.define(module, "take_back", VOID, worker=PTR)
    worker = code["worker"]
    offload = code.field(worker, Worker, "offload").address
    kind = code.field(offload, virtio_net_hdr, "gso_type")
    with code.if_(code.compare(kind.load(), "==", kernel.VIRTIO_NET_HDR_GSO_NONE)):
        code.ret()
    context = code.field(worker, Worker, "context").address
    covered = code.sub(code.field(context, FrameContext, "data_end").load(), _start(code, worker))
    segment = code.resize(code.field(offload, virtio_net_hdr, "gso_size").load(), I64)
    with code.if_(code.compare_signed(covered, "<=", segment)):
        kind.store(kernel.VIRTIO_NET_HDR_GSO_NONE)
        code.field(offload, virtio_net_hdr, "flags").store(0)
        code.ret()
    code.call(_emit_turn(module), worker)
    code.ret()
    return code.function


def _start(code: Code, worker: Pointer) -> U64:
    """The address of the first byte that the checksum covers."""
    offload = code.field(worker, Worker, "offload").address
    start = code.resize(code.field(offload, virtio_net_hdr, "csum_start").load(), I64)
    kernels_frame: U64 = code.field(worker, Worker, "offload_start").load()
    return code.add(kernels_frame, start)


def _emit_turn(module: ir.Module) -> ir.Function:
    """`void turn(worker)`: see above. A field outside of the frame stays what it is: `transmit` refuses the frame."""
    known = module.globals.get("turn")
    if known is not None:
        return known
    code = Code.define(module, "turn", VOID, worker=PTR)
    worker = code["worker"]
    offload, context = (code.field(worker, Worker, name).address for name in ("offload", "context"))
    begin, end = (code.field(context, FrameContext, name).load() for name in ("data", "data_end"))
    start = _start(code, worker)
    place = code.add(start, code.resize(code.field(offload, virtio_net_hdr, "csum_offset").load(), I64))
    cut = code.compare(code.add(place, CHECKSUM_SIZE), ">", end)
    with code.if_(code.or_(cut, code.compare(start, "<", begin))):
        code.ret()
    folded = code.xor(code.resize(_fold(code, _sum(code, start, end)), I16), 0xFFFF)
    written = code.select(code.compare(folded, "==", 0), ir.Constant(I16, NEGATIVE_ZERO), folded)
    code.store(written, code.pointer(place))
    code.ret()
    return code.function


def _sum(code: Code, start: U64, end: U64) -> U64:
    """The bytes as words of this machine's order, added up: any order does (RFC 1071, section 2)."""
    total, place = code.variable(I64, 0), code.variable(I64, start)
    with code.loop() as loop:
        loop.break_if(code.compare(code.sub(end, place.get()), "<", WORD))
        total.add(code.resize(code.load(code.pointer(place.get()), I32), I64))
        place.add(WORD)
    shift = code.variable(I64, 0)
    with code.loop() as loop:
        loop.break_if(code.compare(place.get(), "==", end))
        byte = code.resize(code.load(code.pointer(place.get()), I8), I64)
        total.add(code.shl(byte, shift.get()))
        shift.add(8)
        place.add(1)
    return total.get()


def _fold(code: Code, total: U64) -> U64:
    """Of less than 2**49, to 16 bits: the first step leaves 33 bits, the last two the carries of the one before."""
    for bits in (32, 16, 16, 16):
        total = code.add(code.and_(total, (1 << bits) - 1), code.shr(total, bits))
    return total
