"""The secrets of SYN cookies: who has them can tell which cookies are ours, so nobody else may.

All that answer for one another must have the same: the workers of a box, and the programs before and after a reload.

There are two sets, and the minute says which is in force: 16 minutes the one, 16 the other. A cookie is good for two
minutes; so a set that went out of force can be drawn anew some minutes later, while nobody reads it, and who has learnt
of secrets knows old ones soon. (Linux keeps its own from the first cookie to the next boot.)

    minute      0 ────── 16 ────── 32 ────── 48
    in force    [   0   ][   1   ][   0   ][   1   ]
    drawn anew           ^ 0      ^ 1      ^ 0         `rotate`, three minutes behind the change
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


SETS = 2
FORCE_SHIFT = 4  # of the minutes for which one is in force, to the power of two
REST = 3  # minutes after which no cookie of a set that went out of force is good any more


class SyncookieSecrets:
    """Memory that generated code finds at `address`, for as long as this object is kept. Any thread; one rotates."""

    def __init__(self, seed: bytes | None = None, reserve: Reserve = PRIVATE) -> None:
        """Fresh secrets from the system's random numbers; from a `seed`, for a replay or a test, always the same."""
        size = SETS * ctypes.sizeof(Secrets)
        drawn = os.urandom(size) if seed is None else hashlib.shake_256(seed).digest(size)
        self._rotated: int | None = None
        self._memory = reserve.take(Plain(size))
        self._memory.write(0, drawn)
        self.address = self._memory.address

    def rotate(self, minute: int) -> bool:
        """Draw the set anew that is not in force, once for each time that the other one is; whether it was done. To be
        called every minute or oftener, with the minutes of CLOCK_MONOTONIC."""
        force = minute >> FORCE_SHIFT
        if self._rotated is None:
            self._rotated = force  # both are new
        if force == self._rotated or minute - (force << FORCE_SHIFT) < REST:
            return False
        self._rotated = force
        size = ctypes.sizeof(Secrets)
        self._memory.write(size * (1 - force % SETS), os.urandom(size))
        return True
