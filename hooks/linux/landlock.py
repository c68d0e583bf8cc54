"""linux/landlock.h: rules that a process sets for itself and for what it starts."""

from __future__ import annotations

import ctypes

LANDLOCK_CREATE_RULESET_VERSION = 1 << 0
NETWORK_ABI = 4  # the first version that knows of the network (Linux 6.7)

LANDLOCK_ACCESS_NET_BIND_TCP = 1 << 0
LANDLOCK_ACCESS_NET_CONNECT_TCP = 1 << 1
LANDLOCK_ACCESS_NET = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP

SCOPE_ABI = 6  # the first version that knows of scopes (Linux 6.12)
LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0
LANDLOCK_SCOPE_SIGNAL = 1 << 1
LANDLOCK_SCOPE = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL

LANDLOCK_RULE_PATH_BENEATH = 1

LANDLOCK_ACCESS_FS_EXECUTE = 1 << 0
LANDLOCK_ACCESS_FS_READ_FILE = 1 << 2
LANDLOCK_ACCESS_FS_READ_DIR = 1 << 3

# How many rights to files (LANDLOCK_ACCESS_FS_*, from bit 0 on) each version knows; those between as the one before.
ACCESS_FS_OF_ABI = {
    1: 13,  # EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_CHAR to MAKE_SYM
    2: 14,  # REFER
    3: 15,  # TRUNCATE
    5: 16,  # IOCTL_DEV
}


def access_fs(abi: int) -> int:
    """All the rights to files that a version knows."""
    return (1 << ACCESS_FS_OF_ABI[max(each for each in ACCESS_FS_OF_ABI if each <= abi)]) - 1


class landlock_ruleset_attr(ctypes.Structure):
    """What the rule set handles: everything of it is refused but what a rule allows."""

    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class landlock_path_beneath_attr(ctypes.Structure):
    """A rule: what is allowed to everything below the directory that `parent_fd` is of."""

    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))
