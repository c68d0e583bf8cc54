"""The helpers that few types of map have, in Python: of queues, stacks, bloom filters, per-CPU maps and hashes."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from appliance.ebpf.interpreter import Helper, HelperCall, Value
from appliance.ebpf.map_types import MapType

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1


def map_lookup_percpu_elem(call: HelperCall) -> Value:
    """A pointer to one processor's (r3) value under the key (r2), or null. The interpreter has one processor."""
    map_ = call.map(0)
    value = None if call.number(2) & M32 else map_.lookup(call.read(1, map_.spec.key_size))
    return 0 if value is None else call.machine.value_pointer(map_, value)


def map_lookup_and_delete_elem(call: HelperCall) -> Value:
    """A pointer to the value that was under the key (r2) until now, or null."""
    map_ = call.map(0)
    value = map_.lookup_and_delete(call.read(1, map_.spec.key_size))
    return 0 if value is None else call.machine.value_pointer(map_, value)


def map_push_elem(call: HelperCall) -> Value:
    """Put the value (r2) in, with the flags (r3). 0 or -errno."""
    map_ = call.map(0)
    return map_.push(call.read(1, map_.spec.value_size), call.number(2)) & M64


def map_pop_elem(call: HelperCall) -> Value:
    """Take the next value out, to where r2 points: zeros if there is none. 0 or -ENOENT."""
    map_ = call.map(0)
    return _hand_out(call, map_.spec.value_size, map_.pop())


def map_peek_elem(call: HelperCall) -> Value:
    """Copy the next value to where r2 points, or ask a bloom filter for the value there. 0 or -ENOENT."""
    map_ = call.map(0)
    if map_.spec.type is MapType.BLOOM_FILTER:
        return 0 if map_.may_hold(call.read(1, map_.spec.value_size)) else -errno.ENOENT & M64
    return _hand_out(call, map_.spec.value_size, map_.peek())


def _hand_out(call: HelperCall, size: int, value: bytes | None) -> Value:
    call.write(1, bytes(size) if value is None else value)
    return -errno.ENOENT & M64 if value is None else 0


SPECIAL_MAP_HELPERS: Mapping[str, Helper] = {
    "map_lookup_percpu_elem": map_lookup_percpu_elem,
    "map_lookup_and_delete_elem": map_lookup_and_delete_elem,
    "map_push_elem": map_push_elem,
    "map_pop_elem": map_pop_elem,
    "map_peek_elem": map_peek_elem,
}
