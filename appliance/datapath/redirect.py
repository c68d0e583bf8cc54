"""Where a frame goes that is not dropped: across to the peer, or where the program redirected it.

    PASS, PROCESSOR ──────────> the port's peer
    INTERFACE ────────────────> the port of that interface
    EVERY_INTERFACE ──────────> each of the map's interfaces, one copy each
    EVERY_OTHER_INTERFACE ────> the same, but for the one that the frame came by
      ACROSS among them ──────> to the port's peer, as if it had passed: a mirrored frame and its copy

A redirection to a processor chooses who works on, and not where the frame goes: in a kernel the other processor passes
it on. Here it stays with its worker, which does the same.
"""

from __future__ import annotations

import ctypes

from llvmlite import ir

from appliance.datapath.layout import NO_PORT, Port, PortCounters, Worker
from appliance.ir import I32, I64, PTR, U32, VOID, Code, Pointer
from hooks.contracts.xdp import ACROSS, FrameContext, RedirectKind

ENTRY = 8  # bytes: the most that a map of interfaces has as a key or as a value


def emit_cross(code: Code, worker: Pointer, port: Pointer, transmit: ir.Function) -> None:
    """Send the frame out of the port's peer, if it has one."""
    peer = code.field(port, Port, "peer").load()
    ports = code.field(worker, Worker, "ports").address
    with code.if_(code.compare(peer, "!=", NO_PORT), likely=True):
        code.call(transmit, worker, code.at(ports, code.mul(code.resize(peer, I64), ctypes.sizeof(Port))))


def emit_redirect(module: ir.Module, transmit: ir.Function) -> ir.Function:
    """`void redirect(worker, port)`: send the frame where its program said.

    A program that answers REDIRECT without having named a target has named interface 0, which no box has: as in a
    kernel the frame goes nowhere, and an error is counted (xdp_do_redirect, net/core/filter.c, gives -EINVAL).
    """
    known = module.globals.get("redirect")
    if known is not None:
        return known
    send = _emit_send(module, transmit)
    code = Code.define(module, "redirect", VOID, worker=PTR, port=PTR)
    worker, port = code["worker"], code["port"]
    context = code.field(worker, Worker, "context").address
    kind, interface = (code.field(context, FrameContext, f"redirect_{name}") for name in ("kind", "ifindex"))
    meant, target = kind.load(), interface.load()
    with code.if_(code.compare(meant, "==", RedirectKind.INTERFACE), likely=True):
        code.call(send, worker, port, target)
        code.ret()
    with code.if_(code.compare(meant, "==", RedirectKind.PROCESSOR)):
        emit_cross(code, worker, port, transmit)
        code.ret()
    others = code.compare(meant, "==", RedirectKind.EVERY_OTHER_INTERFACE)
    excluded = code.select(others, code.field(port, Port, "ifindex").load(), 0)
    _broadcast(code, send, excluded, transmit)
    code.ret()
    return code.function


def _broadcast(code: Code, send: ir.Function, excluded: U32, transmit: ir.Function) -> None:
    """The map's own `next` goes through its entries."""
    context = code.field(code["worker"], Worker, "context").address
    map_ = code.pointer(code.field(context, FrameContext, "redirect_map").load())
    signature = ir.FunctionType(I64, (PTR, I64, PTR, PTR)).as_pointer()
    following = code.builder.inttoptr(code.field(context, FrameContext, "redirect_next").load(), signature)
    key, value = code.buffer(ENTRY), code.buffer(ENTRY)
    position = code.variable(I64, 0)
    with code.loop() as loop:
        position.set(code.call(following, map_, position.get(), key, value))
        loop.break_if(code.compare_signed(position.get(), "<", 0))
        interface = code.load(value, I32)
        loop.continue_if(code.compare(interface, "==", excluded))
        with code.if_(code.compare(interface, "==", ACROSS)):
            emit_cross(code, code["worker"], code["port"], transmit)
            loop.continue_()
        code.call(send, code["worker"], code["port"], interface)


def _emit_send(module: ir.Module, transmit: ir.Function) -> ir.Function:
    """`void send_to(worker, port, ifindex)`: out of the box's interface of that index, or count that it has none."""
    code = Code.define(module, "send_to", VOID, worker=PTR, port=PTR, ifindex=I32)
    worker = code["worker"]
    with code.count(code.resize(code.field(worker, Worker, "port_count").load(), I64)) as index:
        candidate = code.at(code.field(worker, Worker, "ports").address, code.mul(index, ctypes.sizeof(Port)))
        with code.if_(code.compare(code.field(candidate, Port, "ifindex").load(), "==", code["ifindex"])):
            code.call(transmit, worker, candidate)
            code.ret()
    code.field(code.field(code["port"], Port, "counters").address, PortCounters, "redirect_unknown").add(1)
    code.ret()
    return code.function
