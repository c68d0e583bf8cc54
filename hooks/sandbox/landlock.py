"""Landlock: no file, no TCP, no way out of the sandbox by a socket without a name or by a signal.

A rule set says what it handles, and all of that is refused where no rule allows it; here rules allow the directories
that are named, if any. What is open already stays open. It binds the process and its children for good, and keeps them
from tracing processes that are not under it. Source: landlock(7).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from hooks.linux import landlock as kernel
from hooks.linux.unistd import syscall

_READ = kernel.LANDLOCK_ACCESS_FS_READ_FILE | kernel.LANDLOCK_ACCESS_FS_READ_DIR


def landlock_version() -> int:
    """The version that the kernel speaks; 0 if it has no Landlock, or it is switched off."""
    try:
        return syscall("landlock_create_ruleset", 0, 0, kernel.LANDLOCK_CREATE_RULESET_VERSION)
    except OSError:
        return 0


def refuse_files_and_network(readable: Iterable[Path] = (), writable: Iterable[Path] = ()) -> int:
    """Refuse this process, for good, all that the kernel's version knows of, but to read what is below the directories
    `readable`, and to read, make, change and remove what is below `writable`; the version, and 0 for nothing at all.
    The process must not gain privileges any more (no_new_privs). Raises OSError.

    A rule is the directory's, not its name's. In /proc and /sys, where directories may be forgotten and made again, it
    holds for as long as somebody has that directory open."""
    version = landlock_version()
    if version:
        rules = kernel.landlock_ruleset_attr(
            kernel.access_fs(version),
            kernel.LANDLOCK_ACCESS_NET if version >= kernel.NETWORK_ABI else 0,
            kernel.LANDLOCK_SCOPE if version >= kernel.SCOPE_ABI else 0,
        )
        descriptor = syscall("landlock_create_ruleset", ctypes.byref(rules), ctypes.sizeof(rules), 0)
        try:
            for path in readable:
                _allow(descriptor, path, _READ)
            for path in writable:
                _allow(descriptor, path, rules.handled_access_fs & ~kernel.LANDLOCK_ACCESS_FS_EXECUTE)
            syscall("landlock_restrict_self", descriptor, 0)
        finally:
            os.close(descriptor)
    return version


def _allow(rules: int, path: Path, access: int) -> None:
    directory = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rule = kernel.landlock_path_beneath_attr(access, directory)
        syscall("landlock_add_rule", rules, kernel.LANDLOCK_RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(directory)
