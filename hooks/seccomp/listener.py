"""The other end of a filter: calls that wait, and their answers.

    RECV ──> Notification ── valid? ──> … performed … ──> answer      (SEND)
                              └ the thread may have died meanwhile, and its number may be somebody else's

Source: seccomp_unotify(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass
from types import TracebackType

from hooks.linux import seccomp as kernel

_libc = ctypes.CDLL(None, use_errno=True)
_ioctl = _libc.ioctl
_ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Notification:
    """One call that waits: its number in the listener, the thread that makes it, the system call and its arguments."""

    id: int
    thread: int
    call: int
    arguments: tuple[int, ...]


class Listener:
    """The listening descriptor of one filter, which it owns. A context manager; closing twice is harmless.

    One thread receives; any thread answers, each call once.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._notif = kernel.seccomp_notif()
        flags = ctypes.c_uint64(kernel.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
        # A kernel before 6.6 answers EINVAL, and wakes up as it always did.
        _ioctl(descriptor, kernel.SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags.value)

    def receive(self) -> Notification | None:
        """The next call, which waits already, as poll(2) says (POLLIN; POLLHUP alone: there is nobody any more whom the
        filter watches). None if the thread died, or was interrupted, meanwhile."""
        notif = self._notif
        while True:
            ctypes.memset(ctypes.addressof(notif), 0, ctypes.sizeof(notif))
            if _ioctl(self.descriptor, kernel.SECCOMP_IOCTL_NOTIF_RECV, ctypes.addressof(notif)) == 0:
                data = notif.data
                return Notification(notif.id, notif.pid, data.nr, tuple(data.args))
            code = ctypes.get_errno()
            if code == errno.ENOENT:
                return None
            if code != errno.EINTR:
                raise OSError(code, os.strerror(code))

    def valid(self, notification: Notification) -> bool:
        """Whether the thread still waits in this call: then what was found under its number is its own."""
        number = ctypes.c_uint64(notification.id)
        failed: int = _ioctl(self.descriptor, kernel.SECCOMP_IOCTL_NOTIF_ID_VALID, ctypes.addressof(number))
        return not failed

    def answer(self, notification: Notification, result: int) -> bool:
        """Let the call end with a result, or with an errno, negative. False if nobody waits for it any more."""
        if result < 0:
            return self._send(kernel.seccomp_notif_resp(notification.id, 0, result, 0))
        return self._send(kernel.seccomp_notif_resp(notification.id, result, 0, 0))

    def continue_(self, notification: Notification) -> bool:
        """Let the kernel make the call, with what is in registers and memory *then*: only where neither can matter."""
        return self._send(kernel.seccomp_notif_resp(notification.id, 0, 0, kernel.SECCOMP_USER_NOTIF_FLAG_CONTINUE))

    def fileno(self) -> int:
        return self.descriptor

    def close(self) -> None:
        """Whoever waits, and whoever is watched and calls from now on, gets ENOSYS."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, response: kernel.seccomp_notif_resp) -> bool:
        if _ioctl(self.descriptor, kernel.SECCOMP_IOCTL_NOTIF_SEND, ctypes.addressof(response)) == 0:
            return True
        if ctypes.get_errno() != errno.ENOENT:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return False
