"""Threads that wait in a call: their descriptors, their memory, and who they are.

A thread's number may become another's when it dies; a pidfd names one thread for good, and answers ESRCH afterwards. So
pidfds are kept by number: one that is out of date can't lead to a stranger.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from hooks.linux.pidfd import KCMP_FILES, PIDFD_THREAD
from hooks.linux.socket import iovec
from hooks.linux.unistd import syscall

MOST_KEPT = 512

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_readv, _writev = _libc.process_vm_readv, _libc.process_vm_writev
_readv.restype = _writev.restype = ctypes.c_ssize_t
_GETFD = ctypes.c_long(438)  # pidfd_getfd(2), on every machine: made for each call, so without looking it up
_NO_FLAGS = ctypes.c_long(0)


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread, for good. `pidfd` is of the thread, or, on a kernel before 6.9, of its process."""

    number: int
    process: int
    pidfd: int


class Threads:
    """The threads that have called. For one thread; `close` ends it."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, Thread] = OrderedDict()

    def find(self, number: int) -> Thread:
        """Who has that number now, as far as it is known. Raises OSError (ESRCH) if nobody has."""
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = _open(number)
            if len(self._known) > MOST_KEPT:
                os.close(self._known.popitem(last=False)[1].pidfd)
        return known

    def duplicate(self, number: int, descriptor: int) -> tuple[Thread, int]:
        """Who has that number, and a duplicate of a descriptor of his. Raises OSError: EBADF, as he would get."""
        thread = self.find(number)
        try:
            return thread, take_descriptor(thread, descriptor)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise
        self.forget(number)  # it was somebody who died
        thread = self.find(number)
        return thread, take_descriptor(thread, descriptor)

    def living(self, number: int) -> Thread:
        """Who has that number now, for certain. Raises OSError (ESRCH) if nobody has."""
        thread = self.find(number)
        try:
            signal.pidfd_send_signal(thread.pidfd, 0)
        except ProcessLookupError:  # it was somebody who died
            self.forget(number)
            return self.find(number)
        return thread

    def forget(self, number: int) -> None:
        """He has died, or is somebody else now."""
        known = self._known.pop(number, None)
        if known is not None:
            os.close(known.pidfd)

    def close(self) -> None:
        for number in [*self._known]:
            self.forget(number)


def _open(number: int) -> Thread:
    process = _process_of(number)
    try:
        return Thread(number, process, syscall("pidfd_open", number, PIDFD_THREAD))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    if number != process and syscall("kcmp", process, number, KCMP_FILES, 0, 0):
        raise OSError(errno.EPERM, "the thread has descriptors of its own, and this kernel can't reach them")
    return Thread(number, process, os.pidfd_open(process))


def _process_of(number: int) -> int:
    """The thread group. Raises OSError (ESRCH)."""
    try:
        with Path(f"/proc/{number}/status").open("rb") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(b"Tgid:"))
    except FileNotFoundError:
        raise OSError(errno.ESRCH, os.strerror(errno.ESRCH)) from None


def take_descriptor(thread: Thread, descriptor: int) -> int:
    """A duplicate of his descriptor, in this process. Raises OSError."""
    taken: int = _syscall(_GETFD, ctypes.c_long(thread.pidfd), ctypes.c_long(descriptor), _NO_FLAGS)
    if taken < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return taken


def is_alone(number: int) -> bool:
    """Whether the process has no other thread. Raises OSError."""
    with Path(f"/proc/{number}/status").open("rb") as status:
        return next(line.split()[1] == b"1" for line in status if line.startswith(b"Threads:"))


def read_memory(number: int, address: int, size: int) -> bytes:
    """A copy of memory of the thread. Raises OSError (EFAULT) if not all of it is there."""
    if not size:
        return b""
    copy = ctypes.create_string_buffer(size)
    here, there = iovec(ctypes.addressof(copy), size), iovec(address, size)
    done = _readv(number, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    if done == size:
        return copy.raw
    code = ctypes.get_errno() if done < 0 else errno.EFAULT
    raise OSError(code, os.strerror(code))


def write_memory(number: int, address: int, data: bytes) -> None:
    """Write to memory of the thread. Raises OSError (EFAULT)."""
    copy = ctypes.create_string_buffer(data, len(data))
    here, there = iovec(ctypes.addressof(copy), len(data)), iovec(address, len(data))
    if _writev(number, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) != len(data):
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
