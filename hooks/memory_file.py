"""A file that lives in memory alone, as large as one likes: pages exist once they are touched.

Where the kernel grants it its pages may be huge. memfd_create's may only if the machine's administrator has said so
(/sys/kernel/mm/transparent_hugepage/shmem_enabled); a tmpfs of one's own has an option of its own. Either the service
manager has mounted one at DIRECTORY; or a child mounts one in namespaces of its own, makes a file without a name there,
hands it over, and ends: the file lives on.

Source: Documentation/admin-guide/mm/transhuge.rst, "Hugepages in tmpfs/shmem".
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
from contextlib import suppress
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000  # linux/sched.h
DIRECTORY = Path("/run/tidegate-memory")  # TemporaryFileSystem= of the unit, with huge=advise
MOUNT_POINT = b"/tmp"  # in a namespace of mounts that ends with the child
SECONDS = 2.0  # until the child must have answered

_libc = ctypes.CDLL(None, use_errno=True)


def memory_file(name: str, size: int) -> int:
    """The descriptor of such a file of `size` bytes, not inherited by programs that are executed. For a process of one
    thread: it forks. Raises OSError."""
    descriptor = _prepared_file()
    if descriptor is None:
        descriptor = _huge_file()
    if descriptor is None:
        descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.set_inheritable(descriptor, False)
    os.ftruncate(descriptor, size)
    return descriptor


def _prepared_file() -> int | None:
    """A file where the service manager has mounted a tmpfs for it."""
    try:
        return os.open(DIRECTORY, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600) if DIRECTORY.is_mount() else None
    except OSError:
        return None


def _huge_file() -> int | None:
    """A file whose pages may be huge; None where nobody may mount."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    user, group = os.geteuid(), os.getegid()
    with ours:
        child = os.fork()
        if child == 0:
            _mount_and_send(theirs, user, group)
        theirs.close()
        ready, _, _ = select.select([ours], [], [], SECONDS)
        os.waitpid(child, 0)
        if not ready:
            return None
        with suppress(OSError):
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
            return descriptors[0] if descriptors else None
    return None


def _mount_and_send(channel: socket.socket, user: int, group: int) -> None:
    """In the child, which this ends."""
    try:
        if _libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
            if _libc.mount(b"none", MOUNT_POINT, b"tmpfs", 0, b"huge=advise,mode=0700,size=100%") == 0:
                made = os.open(MOUNT_POINT, os.O_TMPFILE | os.O_RDWR, 0o600)
                socket.send_fds(channel, [b"x"], [made])
    finally:
        os._exit(0)
