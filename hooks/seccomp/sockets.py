"""What is done on a duplicate of somebody's socket: with addresses as bytes, and errnos as the kernel gives them.

A duplicate is the same socket under another descriptor, in the socket's own network namespace: what is bound here is
bound there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from hooks.linux.socket import SO_NETNS_COOKIE

SO_COOKIE = 57  # <asm-generic/socket.h>
LONGEST_ADDRESS = 128  # bytes: struct sockaddr_storage
INTERNET = frozenset({int(socket.AF_INET), int(socket.AF_INET6)})

_libc = ctypes.CDLL(None, use_errno=True)
_getsockopt = _libc.getsockopt
_getsockopt.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_getsockname, _getpeername = _libc.getsockname, _libc.getpeername
_bind, _connect, _listen = _libc.bind, _libc.connect, _libc.listen


def _name(names: type[IntEnum], number: int) -> str:
    return names(number).name if number in names._value2member_map_ else str(number)


@dataclass(frozen=True, slots=True)
class Kind:
    """What sort of socket: AF_*, SOCK_*, IPPROTO_*."""

    family: int
    type: int
    protocol: int

    def __str__(self) -> str:
        family, type_ = _name(socket.AddressFamily, self.family), _name(socket.SocketKind, self.type)
        return f"{family} {type_} {self.protocol}"


class Duplicate:
    """A descriptor of this process for somebody's socket; it owns it. For one thread at a time; a context manager."""

    __slots__ = ("descriptor", "kind")

    def __init__(self, descriptor: int) -> None:
        """Raises OSError (ENOTSOCK)."""
        self.descriptor = descriptor
        try:
            option = self._option
            self.kind = Kind(option(socket.SO_DOMAIN), option(socket.SO_TYPE), option(socket.SO_PROTOCOL))
        except OSError:
            os.close(descriptor)
            raise

    def _option(self, number: int, size: int = 4) -> int:
        value, length = ctypes.c_uint64(0), ctypes.c_uint32(size)
        if _getsockopt(self.descriptor, socket.SOL_SOCKET, number, ctypes.byref(value), ctypes.byref(length)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return value.value

    @property
    def internet(self) -> bool:
        """Whether its addresses are IPv4 or IPv6."""
        return self.kind.family in INTERNET

    def cookie(self) -> int:
        """The kernel's number for the socket."""
        return self._option(SO_COOKIE, 8)

    def namespace_cookie(self) -> int:
        """The kernel's number for its network namespace."""
        return self._option(SO_NETNS_COOKIE, 8)

    def waits(self) -> bool:
        """Whether a call on it may wait (not O_NONBLOCK)."""
        return not fcntl.fcntl(self.descriptor, fcntl.F_GETFL) & os.O_NONBLOCK

    def bind(self, address: bytes) -> int:
        """0, or an errno, negative."""
        return _result(_bind(self.descriptor, address, len(address)))

    def connect(self, address: bytes) -> int:
        """0, or an errno, negative. Waits if the socket does."""
        return _result(_connect(self.descriptor, address, len(address)))

    def listen(self, backlog: int) -> int:
        """0, or an errno, negative."""
        return _result(_listen(self.descriptor, backlog))

    def local_address(self) -> bytes:
        """What it is bound to. Raises OSError."""
        return self._name(_getsockname)

    def peer_address(self) -> bytes:
        """What it is connected to. Raises OSError (ENOTCONN)."""
        return self._name(_getpeername)

    def _name(self, ask: Callable[..., int]) -> bytes:
        address, length = ctypes.create_string_buffer(LONGEST_ADDRESS), ctypes.c_uint32(LONGEST_ADDRESS)
        if ask(self.descriptor, address, ctypes.byref(length)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return address.raw[: length.value]

    def unbind(self) -> None:
        """Give back a port that the kernel chose. One that was asked for stays with its socket until that is closed.

        A disconnection releases what nobody asked for (SOCK_BINDPORT_LOCK of net/core/sock.h), and a TCP socket must
        have left the closed state for that; behind a backlog of nobody's connections it listens for a moment.
        """
        if self.kind.type == socket.SOCK_STREAM:
            self.listen(0)
        self.connect(socket.AF_UNSPEC.to_bytes(2, "little") + bytes(14))

    def close(self) -> None:
        """The socket itself stays open as long as somebody else has it. Closing twice is harmless."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Duplicate:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _result(returned: int) -> int:
    return 0 if returned == 0 else -(ctypes.get_errno() or errno.EIO)
