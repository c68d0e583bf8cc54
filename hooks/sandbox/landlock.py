"""Landlock: no file, no TCP, no way out of the sandbox by a socket without a name or by a signal.

A rule set says what it handles, and all of that is refused where no rule allows it; here no rule allows anything. What
is open already stays open. It binds the process and its children for good, and keeps them from tracing processes that
are not under it. Source: landlock(7).
"""

from __future__ import annotations

import ctypes
import os

from hooks.linux import landlock as kernel
from hooks.linux.unistd import syscall


def landlock_version() -> int:
    """The version that the kernel speaks; 0 if it has no Landlock, or it is switched off."""
    try:
        return syscall("landlock_create_ruleset", 0, 0, kernel.LANDLOCK_CREATE_RULESET_VERSION)
    except OSError:
        return 0


def refuse_files_and_network() -> int:
    """Refuse this process, for good, all that the kernel's version knows of; the version, and 0 for nothing at all.
    The process must not gain privileges any more (no_new_privs). Raises OSError."""
    version = landlock_version()
    if version:
        rules = kernel.landlock_ruleset_attr(
            kernel.access_fs(version),
            kernel.LANDLOCK_ACCESS_NET if version >= kernel.NETWORK_ABI else 0,
            kernel.LANDLOCK_SCOPE if version >= kernel.SCOPE_ABI else 0,
        )
        descriptor = syscall("landlock_create_ruleset", ctypes.byref(rules), ctypes.sizeof(rules), 0)
        try:
            syscall("landlock_restrict_self", descriptor, 0)
        finally:
            os.close(descriptor)
    return version
