"""linux/sched.h: the namespaces that a process can leave for new ones of its own, and unshare(2)."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_unshare = ctypes.CDLL(None, use_errno=True).unshare


def unshare(flags: int) -> None:
    """New namespaces for the calling thread; of CLONE_NEWPID, for its children. Raises OSError."""
    if _unshare(flags) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
