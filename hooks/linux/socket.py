"""Structures and constants of <poll.h>, <sys/socket.h> and <sys/uio.h> that generated code uses."""

from __future__ import annotations

import ctypes

POLLIN = 0x001
POLLOUT = 0x004
POLLERR = 0x008
POLLHUP = 0x010
POLLNVAL = 0x020

MSG_DONTWAIT = 0x40
MSG_TRUNC = 0x20

EINTR = 4
EAGAIN = 11
ENOBUFS = 105


class pollfd(ctypes.Structure):
    """One descriptor to wait for."""

    _fields_ = (("fd", ctypes.c_int32), ("events", ctypes.c_int16), ("revents", ctypes.c_int16))


class iovec(ctypes.Structure):
    """One stretch of memory of a scattered read or write."""

    _fields_ = (("iov_base", ctypes.c_uint64), ("iov_len", ctypes.c_uint64))
