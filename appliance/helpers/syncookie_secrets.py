"""The secrets of SYN cookies: who has them can tell which cookies are ours, so nobody else may.

All that answer for one another must have the same: the workers of a box, and the programs before and after a reload.
"""

from __future__ import annotations

import ctypes
import hashlib
import os

from appliance.memory import PRIVATE, Plain, Reserve

KEY_SIZE = 16  # of SipHash


class Secrets(ctypes.Structure):
    """Two keys for each family, as in net/ipv4/syncookies.c: what a cookie begins with, and what hides its meaning."""

    _fields_ = (("ipv4", ctypes.c_uint8 * (2 * KEY_SIZE)), ("ipv6", ctypes.c_uint8 * (2 * KEY_SIZE)))


class SyncookieSecrets:
    """Memory that generated code finds at `address`, for as long as this object is kept. Any thread."""

    def __init__(self, seed: bytes | None = None, reserve: Reserve = PRIVATE) -> None:
        """Fresh secrets from the system's random numbers; from a `seed`, for a replay or a test, always the same."""
        size = ctypes.sizeof(Secrets)
        drawn = os.urandom(size) if seed is None else hashlib.shake_256(seed).digest(size)
        self._memory = reserve.take(Plain(size))
        self._memory.write(0, drawn)
        self.address = self._memory.address
