"""Sockets of the internet that have ended, as the kernel tells of them: nobody has to watch close(2).

A socket ends when the last process that has it closes it or ends; one whose connection is still being closed, later.
Source: sock_diag_broadcast_destroy of net/core/sock_diag.c.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType

from hooks.errors import HookError
from hooks.linux import sock_diag as kernel
from hooks.linux.rtnetlink import nlmsghdr
from hooks.seccomp.privileges import network_of
from hooks.seccomp.sockets import Duplicate

SO_RCVBUFFORCE = 33
QUEUE_BYTES = 64 << 20  # some ten thousands of sockets that end at once
GROUPS = (
    kernel.SKNLGRP_INET_TCP_DESTROY,
    kernel.SKNLGRP_INET_UDP_DESTROY,
    kernel.SKNLGRP_INET6_TCP_DESTROY,
    kernel.SKNLGRP_INET6_UDP_DESTROY,
)
CLONE_NEWNET = 0x40000000  # linux/sched.h
_libc = ctypes.CDLL(None, use_errno=True)
_DATAGRAM = 1 << 16
_ID = kernel.inet_diag_msg.id.offset + nlmsghdr.nlmsg_pid.offset + nlmsghdr.nlmsg_pid.size
_COOKIE = _ID + kernel.inet_diag_sockid.idiag_cookie.offset


class DestroyedSockets:
    """TCP and UDP sockets that end in the network namespace of the thread that makes it. A context manager; closing
    twice is harmless. For one thread. `lost` counts how often some were not told of."""

    def __init__(self) -> None:
        """Raises HookError if this kernel doesn't tell."""
        self.lost = 0
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, kernel.NETLINK_SOCK_DIAG)
            self._socket.bind((0, 0))
            for group in GROUPS:
                self._socket.setsockopt(kernel.SOL_NETLINK, kernel.NETLINK_ADD_MEMBERSHIP, group)
        except OSError as error:
            raise HookError(
                f"the kernel doesn't tell of sockets that end: {error.strerror}", hint="it needs CONFIG_INET_DIAG"
            ) from error
        with suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_BYTES)

    @classmethod
    def beside(cls, of: Duplicate) -> DestroyedSockets:
        """In the network namespace of a socket, which is kept for as long as this is open. Raises HookError, also where
        this process may not enter it."""
        made: list[DestroyedSockets | HookError] = []

        def enter(network: int) -> None:
            try:
                if _libc.setns(network, CLONE_NEWNET):
                    raise HookError(f"the network namespace can't be entered: {os.strerror(ctypes.get_errno())}")
                made.append(cls())
            except HookError as error:
                made.append(error)

        try:
            network = network_of(of)
        except OSError as error:
            raise HookError(f"the network namespace of a socket can't be had: {error.strerror}") from error
        visitor = threading.Thread(target=enter, args=(network,))  # a thread's namespace ends with it
        visitor.start()
        visitor.join()
        os.close(network)
        if isinstance(made[0], HookError):
            raise made[0]
        return made[0]

    def ended(self) -> Iterator[int]:
        """The SO_COOKIE of each socket that has ended and was not told of yet; waits for none. Where more ended than
        the kernel kept for this process, `lost` says that there were such."""
        while True:
            try:
                message = self._socket.recv(_DATAGRAM, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost += 1
                continue
            yield int.from_bytes(message[_COOKIE : _COOKIE + 8], "little")

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> DestroyedSockets:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
