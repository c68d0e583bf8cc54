"""One call that waits, as it is served: its caller, a duplicate of its socket, a copy of its address.

Everything is looked at once. What the caller's memory or descriptors become meanwhile changes nothing.
"""

from __future__ import annotations

import errno
from enum import Enum
from typing import TypeAlias

from appliance.guard.callers import Caller
from hooks.seccomp.listener import Listener, Notification
from hooks.seccomp.sockets import LONGEST_ADDRESS, Duplicate
from hooks.seccomp.threads import Thread, Threads, read_memory


class Instead(Enum):
    """What happens instead of an answer."""

    CONTINUE = "the kernel makes the call, with what it finds in memory and among descriptors then"
    LATER = "somebody else answers"


Result: TypeAlias = int | Instead  # the call's result, or an errno, negative


class Gone(Exception):
    """Nobody waits for the call any more, or not in this call."""


def signed(register: int) -> int:
    """The low half of a register, as an `int`."""
    low = register & 0xFFFFFFFF
    return low - (1 << 32) if low >> 31 else low


class AnyRequest:
    """Of a caller, and about no socket yet. For one thread."""

    __slots__ = ("_listener", "caller", "notification")

    def __init__(self, notification: Notification, listener: Listener, thread: Thread) -> None:
        self.notification = notification
        self._listener = listener
        self.caller = Caller(thread.process, thread.number)

    def number(self, argument: int) -> int:
        """An `int`: the low half of the register."""
        return signed(self.notification.arguments[argument])

    def address(self, pointer: int, length: int) -> bytes:
        """A copy of the address that two arguments give, and all of it that is ever read. Raises OSError, as the
        kernel would, or Gone: then neither the copy nor the socket need be the caller's."""
        size = self.number(length)
        if not 0 <= size <= LONGEST_ADDRESS:
            raise OSError(errno.EINVAL, "no address is that long")
        raw = read_memory(self.notification.thread, self.notification.arguments[pointer], size)
        self.check_waits()
        return raw

    def check_waits(self) -> None:
        """What was found under the thread's number until now is the caller's. Raises Gone."""
        if not self._listener.valid(self.notification):
            raise Gone


class Request(AnyRequest):
    """About a socket, whose descriptor is the first argument. For one thread."""

    __slots__ = ("socket",)

    def __init__(self, notification: Notification, listener: Listener, threads: Threads) -> None:
        """Raises OSError, as the kernel would: EBADF, ENOTSOCK."""
        thread, descriptor = threads.duplicate(notification.thread, signed(notification.arguments[0]))
        super().__init__(notification, listener, thread)
        self.socket = Duplicate(descriptor)
