"""The part of a worker that no reload exchanges: it serves batches with whatever code is published, and sleeps.

drive(worker):
    wake
    until told to stop:
        worker.batch(worker)                 the published code (`loop`), read anew for each batch
        pass                                 a quiescent state: nothing of the batch is held any more
        nothing served for `spin` batches?   offline; poll(); online

So a swap is a store of one address, and a grace period: no worker must be stopped, or woken, for it. What announces
that code was left can't be part of that code, as it runs still; so this is compiled once in a process, and never freed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from llvmlite import ir

from appliance.datapath.layout import PORT_FAILED, STOPPED, Port, Worker
from appliance.ir import I32, I64, PTR, U64, VOID, Code, Engine, Pointer, compile_module, external
from appliance.ir.quiescence import QsbrReader
from hooks.linux.socket import POLLERR, POLLHUP, POLLNVAL, pollfd

# Of optimisation. This runs once for a batch, and most of it is loads and stores that must be there in any case; to
# optimise it would take eight times as long, and a box that starts waits for it.
LEVEL = 0

POLL_MILLISECONDS = 1000
RETRY_MILLISECONDS = 1
ENETDOWN = 100


@cache
def drive() -> Callable[[int], int]:
    """The native `i64 drive(worker)`: STOPPED, or PORT_FAILED, after which it may be called again. It releases the GIL
    until it returns, and the worker is offline then, as far as epochs go."""
    module = ir.Module("driver")
    wait = _emit_wait(module)
    code = Code.define(module, "drive", I64, linkage="external", worker=PTR)
    worker = code["worker"]
    word = code.field(worker, Worker, "epoch").address
    reader = QsbrReader(code, word, code.pointer(code.field(worker, Worker, "global_epoch").load()))
    idle = code.variable(I32, 0)
    reader.online()
    with code.loop() as loop:
        served = _serve_batch(code, worker)
        reader.quiescent_state()
        code.field(worker, Worker, "batches").add(1)
        with code.if_(code.compare(code.field(worker, Worker, "stop").load_acquire(), "!=", 0), likely=False):
            reader.offline()
            code.ret(STOPPED)
        with code.if_(code.compare_signed(served, "<", 0), likely=False):
            reader.offline()
            code.ret(PORT_FAILED)
        with code.if_(code.compare(served, "!=", 0)):
            idle.set(0)
            loop.continue_()
        idle.add(1)
        with code.if_(code.compare(idle.get(), ">", code.field(worker, Worker, "spin").load())):
            reader.offline()
            code.call(wait, worker)
            reader.online()
            idle.set(0)
    code.builder.unreachable()
    return Engine(compile_module(module, level=LEVEL)).function("drive", ctypes.c_int64, ctypes.c_uint64)


def _serve_batch(code: Code, worker: Pointer) -> U64:
    """Call the published code (rcu_dereference): how many frames it served, or below zero if a socket failed."""
    signature = ir.FunctionType(I64, [PTR]).as_pointer()
    published = code.field(worker, Worker, "batch").load_acquire()
    served: U64 = code.call(code.builder.inttoptr(published, signature), worker)
    return served


def _emit_wait(module: ir.Module) -> ir.Function:
    """`void wait(worker)`: sleep until a frame comes, the control plane wakes us, or a socket reports an error."""
    code = Code.define(module, "wait", VOID, worker=PTR)
    worker = code["worker"]
    poll = external(module, "poll", I32, PTR, I64, I32)
    polls = code.field(worker, Worker, "polls").address
    ports = code.field(worker, Worker, "ports").address
    count = code.resize(code.field(worker, Worker, "port_count").load(), I64)
    pending = code.variable(I32, 0)
    with code.count(count) as index:
        port = code.at(ports, code.mul(index, ctypes.sizeof(Port)))
        pending.set(code.or_(pending.get(), code.field(port, Port, "transmit_pending").load()))
    quiet = code.compare(pending.get(), "==", 0)
    timeout = code.select(quiet, ir.Constant(I32, POLL_MILLISECONDS), RETRY_MILLISECONDS)
    code.field(worker, Worker, "sleeps").add(1)
    code.call(poll, polls, code.add(count, 1), timeout)
    with code.count(count) as index:
        entry = code.at(polls, code.mul(code.add(index, 1), ctypes.sizeof(pollfd)))
        trouble = code.and_(code.field(entry, pollfd, "revents").load(), POLLERR | POLLHUP | POLLNVAL)
        with code.if_(code.compare(trouble, "!=", 0), likely=False):
            port = code.at(ports, code.mul(index, ctypes.sizeof(Port)))
            code.field(port, Port, "failed").store(ENETDOWN)
    code.ret()
    return code.function
