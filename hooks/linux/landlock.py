"""linux/landlock.h: rules that a process sets for itself and for what it starts."""

from __future__ import annotations

import ctypes

LANDLOCK_CREATE_RULESET_VERSION = 1 << 0
NETWORK_ABI = 4  # the first version that knows of the network (Linux 6.7)

LANDLOCK_ACCESS_NET_BIND_TCP = 1 << 0
LANDLOCK_ACCESS_NET_CONNECT_TCP = 1 << 1


class landlock_ruleset_attr(ctypes.Structure):
    """What the rule set handles: everything of it is refused but what a rule allows."""

    _fields_ = (("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64))
