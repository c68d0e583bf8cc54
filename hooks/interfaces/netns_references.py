"""Which network namespaces are there? The kernel lists none, so this looks for everything by which one can be entered:
threads that live in it, descriptors of it, and names (mounts of nsfs). What none of them refers to nobody can enter
any more, even if a socket in it lives on.

Source: network_namespaces(7), proc_pid_ns(5), proc_pid_mountinfo(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
INIT = "1"
_NAMESPACE = re.compile(r"net:\[(\d+)\]")
_NAMED = "/netns/"  # a descriptor that was opened by a name reads as that (/run/docker/netns/…), or as "/" without it


def network_namespace() -> int:
    """The inode number of the calling thread's; the kernel gives it to another one when this one is gone."""
    return Path("/proc/thread-self/ns/net").stat().st_ino


def pid_namespace() -> int:
    """The inode number of the namespace whose processes /proc shows."""
    return (PROC / "self/ns/pid").stat().st_ino


def referenced_namespaces() -> frozenset[int] | None:
    """The inode numbers of all network namespaces that a process of this PID namespace can enter; None if some of the
    processes can't be looked at (CAP_SYS_PTRACE, hidepid).

    The first one may have more privileges than root here, in a container say. It lives where all the others began.
    """
    if not (PROC / INIT).exists():
        return None
    found: set[int] = set()
    tables: set[int] = set()
    for process in PROC.glob("[0-9]*"):
        try:
            found.update(_of_threads(process))
            found.update(_of_descriptors(process))
            table = (process / "ns/mnt").stat().st_ino
            if table not in tables:
                tables.add(table)
                found.update(map(int, _NAMESPACE.findall((process / "mountinfo").read_text(errors="replace"))))
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        except OSError:
            if process.name != INIT:
                return None
    return frozenset(found)


def _of_threads(process: Path) -> Iterator[int]:
    for thread in (process / "task").iterdir():
        yield from map(int, _NAMESPACE.findall(str((thread / "ns/net").readlink())))


def _of_descriptors(process: Path) -> Iterator[int]:
    nsfs = Path("/proc/thread-self/ns/net").stat().st_dev
    for descriptor in (process / "fd").iterdir():
        try:
            target = str(descriptor.readlink())
            if _NAMESPACE.match(target) or _NAMED in target or target == "/":
                found = descriptor.stat()
                if found.st_dev == nsfs:
                    yield found.st_ino
        except (FileNotFoundError, ProcessLookupError):  # closed meanwhile
            continue
