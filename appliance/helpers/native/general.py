"""Time, randomness, and the worker's number."""

from __future__ import annotations

import ctypes

from llvmlite import ir

from appliance.helpers.clocks import Ticks
from appliance.helpers.native.call import Clock, HelperCall
from appliance.ir import I32, I64, PTR, U64, Code, external

NANOSECONDS = 1_000_000_000
SEED = 0x9E3779B97F4A7C15  # stands in for a state of 0, which xorshift would never leave
MULTIPLIER = 0x2545F4914F6CDD1D


class Timespec(ctypes.Structure):
    """`struct timespec` of the C library."""

    _fields_ = (("seconds", ctypes.c_uint64), ("nanoseconds", ctypes.c_uint64))


def ktime(ticks: Ticks, call: HelperCall) -> U64:
    """Time on the collection's clock, in the helper's unit."""
    now = call.field("time_ns").load() if call.clock is Clock.FRAME else clock_gettime(call.code, ticks.clock)
    time: U64 = now if ticks.nanoseconds == 1 else call.code.builder.udiv(now, call.number(ticks.nanoseconds))
    return time


def clock_gettime(code: Code, clock: int) -> U64:
    """Nanoseconds on a clock of this machine; the C library asks the vDSO, without a system call."""
    now = code.buffer(ctypes.sizeof(Timespec))
    code.call(external(code.module, "clock_gettime", I32, I32, PTR), clock, now)
    seconds, nanoseconds = (code.field(now, Timespec, name).load() for name in ("seconds", "nanoseconds"))
    time: U64 = code.add(code.mul(seconds, NANOSECONDS), nanoseconds)
    return time


def get_prandom_u32(call: HelperCall) -> U64:
    """xorshift64* (Vigna, 2016) upon the worker's own state; the answer is the high half of the product."""
    code, field = call.code, call.field("random_state")
    state: U64 = field.load()
    state = code.select(code.compare(state, "==", 0), SEED, state)
    state = code.xor(state, code.shr(state, 12))
    state = code.xor(state, code.shl(state, 25))
    state = code.xor(state, code.shr(state, 27))
    field.store(state)
    return code.shr(code.mul(state, MULTIPLIER), 32)


def get_smp_processor_id(call: HelperCall) -> U64:
    """The worker's number, which is also the number of its share of a per-CPU map."""
    return call.code.resize(call.field("processor_id").load(), I64)


def get_numa_node_id(call: HelperCall) -> U64:
    """The number of the memory node that the program runs on; the C library asks the vDSO."""
    code, node = call.code, call.code.buffer(4)
    code.call(external(code.module, "getcpu", I32, PTR, PTR), ir.Constant(PTR, None), node)
    return code.resize(code.load(node, I32), I64)
