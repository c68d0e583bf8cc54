"""Structures and constants of <poll.h>, <sys/socket.h> and <sys/uio.h> that generated code uses."""

from __future__ import annotations

import ctypes

POLLIN = 0x001
POLLOUT = 0x004
POLLERR = 0x008
POLLHUP = 0x010
POLLNVAL = 0x020

SO_SNDBUFFORCE = 32  # <asm-generic/socket.h>
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35  # SO_TIMESTAMPNS_OLD
SO_NETNS_COOKIE = 71  # since Linux 5.14

MSG_DONTWAIT = 0x40
MSG_TRUNC = 0x20

EINTR = 4
EAGAIN = 11
ENOBUFS = 105


class ucred(ctypes.Structure):
    """Who sent a message (SCM_CREDENTIALS), as the kernel says."""

    _fields_ = (("pid", ctypes.c_int32), ("uid", ctypes.c_uint32), ("gid", ctypes.c_uint32))


class pollfd(ctypes.Structure):
    """One descriptor to wait for."""

    _fields_ = (("fd", ctypes.c_int32), ("events", ctypes.c_int16), ("revents", ctypes.c_int16))


class iovec(ctypes.Structure):
    """One stretch of memory of a scattered read or write."""

    _fields_ = (("iov_base", ctypes.c_uint64), ("iov_len", ctypes.c_uint64))


class msghdr(ctypes.Structure):
    """One message of sendmsg(2), its bytes scattered over `msg_iovlen` stretches."""

    _fields_ = (
        ("msg_name", ctypes.c_uint64),
        ("msg_namelen", ctypes.c_uint32),
        ("msg_iov", ctypes.c_uint64),
        ("msg_iovlen", ctypes.c_uint64),
        ("msg_control", ctypes.c_uint64),
        ("msg_controllen", ctypes.c_uint64),
        ("msg_flags", ctypes.c_int32),
    )


class mmsghdr(ctypes.Structure):
    """One of the messages of sendmmsg(2); `msg_len` is how many of its bytes were sent."""

    _fields_ = (("msg_hdr", msghdr), ("msg_len", ctypes.c_uint32))
