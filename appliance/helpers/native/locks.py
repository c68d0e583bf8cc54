"""The lock in a map value, `struct bpf_spin_lock`: its low 16 bits are a lock as the maps' own code uses them."""

from __future__ import annotations

from appliance.helpers.native.call import HelperCall
from appliance.ir import U64, lock


def spin_lock(call: HelperCall) -> U64:
    """Wait until the lock (r1) is free, and take it. A verified program gives it back soon, and holds no other."""
    lock.acquire(call.code, call.pointers[0])
    return call.number(0)


def spin_unlock(call: HelperCall) -> U64:
    """Give the lock (r1) back."""
    lock.release(call.code, call.pointers[0])
    return call.number(0)
