"""The helpers in Python, for the interpreter: name to what answers a call. Total over PROTOTYPES.

Answers agree bit for bit with `native`, which the JIT writes into its code.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from functools import partial

from appliance.ebpf.interpreter import Helper, HelperCall, MapHandle, Value
from appliance.helpers.clocks import CLOCKS, Ticks
from appliance.helpers.model import dynptrs, frame, memory, redirect, rings, routing, strtol, task, text
from appliance.helpers.model.control_flow import FLOW_HELPERS
from appliance.helpers.model.special_maps import SPECIAL_MAP_HELPERS
from appliance.helpers.model.syncookies import cookie_helpers
from hooks.contracts.contract import HostContext

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1
SEED = 0x9E3779B97F4A7C15  # stands in for a state of 0, which xorshift would never leave
MULTIPLIER = 0x2545F4914F6CDD1D


def python_helpers(clock: Callable[[HostContext], int] | None = None) -> Mapping[str, Helper]:
    """Every helper by name. `clock` tells all clocks' time, in nanoseconds: by default the context's own `time_ns`.

    For a program without a context (raw memory) the clock is this machine's, and randomness starts at SEED each time.
    """
    return {
        "map_lookup_elem": map_lookup_elem,
        "map_update_elem": map_update_elem,
        "map_delete_elem": map_delete_elem,
        **SPECIAL_MAP_HELPERS,
        **FLOW_HELPERS,
        **{name: partial(ktime, clock or _own_time, ticks) for name, ticks in CLOCKS.items()},
        "get_prandom_u32": get_prandom_u32,
        "get_smp_processor_id": get_smp_processor_id,
        "get_numa_node_id": get_numa_node_id,
        "csum_diff": csum_diff,
        **dynptrs.HELPERS,
        **frame.HELPERS,
        **redirect.HELPERS,
        **routing.HELPERS,
        **cookie_helpers(clock or _own_time),
        **memory.HELPERS,
        **strtol.HELPERS,
        **rings.HELPERS,
        **text.HELPERS,
        **task.HELPERS,
    }


def _own_time(host: HostContext) -> int:
    return int(host.time_ns)


def _host(call: HelperCall) -> HostContext:
    """The context in this process's memory; for raw memory, one of zeros."""
    context = call.machine.context
    return context.host if context is not None else HostContext()


def map_lookup_elem(call: HelperCall) -> Value:
    """A pointer to the live value under the key (r2) of the map (r1), or null; of a map of maps, the map."""
    map_ = call.map(0)
    key = call.read(1, map_.spec.key_size)
    if map_.spec.inner is not None:
        inner = map_.inner_map(key)
        return 0 if inner is None else MapHandle(inner)
    value = map_.lookup(key)
    return 0 if value is None else call.machine.value_pointer(map_, value)


def map_update_elem(call: HelperCall) -> Value:
    """Put the value (r3) under the key (r2) with the flags (r4). 0 or -errno."""
    map_ = call.map(0)
    key, value = call.read(1, map_.spec.key_size), call.read(2, map_.spec.value_size)
    return map_.update(key, value, call.number(3)) & M64


def map_delete_elem(call: HelperCall) -> Value:
    """Remove the key (r2). 0 or -errno."""
    map_ = call.map(0)
    return map_.delete(call.read(1, map_.spec.key_size)) & M64


def ktime(clock: Callable[[HostContext], int], ticks: Ticks, call: HelperCall) -> Value:
    """Time by the clock, in the helper's unit."""
    now = time.clock_gettime_ns(ticks.clock) if call.machine.context is None else clock(_host(call)) & M64
    return now // ticks.nanoseconds


def get_prandom_u32(call: HelperCall) -> Value:
    """xorshift64* (Vigna, 2016) upon the run's `random_state`; the answer is the high half of the product."""
    host = _host(call)
    state = host.random_state or SEED
    state ^= state >> 12
    state ^= state << 25 & M64
    state ^= state >> 27
    host.random_state = state
    return (state * MULTIPLIER & M64) >> 32


def get_smp_processor_id(call: HelperCall) -> Value:
    """The worker's number."""
    return int(_host(call).processor_id)


def get_numa_node_id(call: HelperCall) -> Value:
    """The number of the memory node that the program runs on."""
    node = ctypes.c_uint()
    ctypes.CDLL(None).getcpu(None, ctypes.byref(node))
    return node.value


def csum_diff(call: HelperCall) -> Value:
    """What removing `from` (r1, r2 bytes) and adding `to` (r3, r4 bytes) makes of the sum r5, folded to 16 bits.

    That is the answer of Linux 6.13 and later (net/core/filter.c); older kernels gave all 32 bits on most machines, and
    refused sizes that are no multiple of 4. A size of 0 takes no part, whatever its pointer.
    """
    removed_size, added_size, seed = (call.number(argument) & M32 for argument in (1, 3, 4))
    removed = call.read(0, removed_size) if removed_size else b""
    added = call.read(2, added_size) if added_size else b""
    if not added:
        return _fold_to_16(~_partial_sum(removed, ~seed & M32) & M32)
    total = _partial_sum(added, seed)
    if removed:
        total = _fold_to_32(total + (~_partial_sum(removed, 0) & M32))
    return _fold_to_16(total)


def _partial_sum(memory: bytes, seed: int) -> int:
    """The memory's 32-bit words and the seed, in one's complement; a rest counts as if zeros followed it."""
    padded = memory + bytes(-len(memory) % 4)
    return _fold_to_32(seed + sum(int.from_bytes(padded[at : at + 4], "little") for at in range(0, len(padded), 4)))


def _fold_to_32(total: int) -> int:
    while total > M32:
        total = (total & M32) + (total >> 32)
    return total


def _fold_to_16(total: int) -> int:
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total
