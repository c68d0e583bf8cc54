"""linux/seccomp.h and linux/audit.h: filters of system calls, and the notifications that they send to user space."""

from __future__ import annotations

import ctypes

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5  # since Linux 5.19

# What a filter answers; where several filters answer, the smallest (signed) counts.
SECCOMP_RET_KILL_PROCESS = 0x80000000
SECCOMP_RET_ERRNO = 0x00050000  # the errno in the low 16 bits
SECCOMP_RET_USER_NOTIF = 0x7FC00000
SECCOMP_RET_ALLOW = 0x7FFF0000

SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1 << 0
SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP = 1 << 0  # since Linux 6.6

AUDIT_ARCH_X86_64 = 0xC000003E
AUDIT_ARCH_AARCH64 = 0xC00000B7
X32_SYSCALL_BIT = 0x40000000  # asm/unistd.h: the same AUDIT_ARCH_X86_64, with pointers of 32 bits


class seccomp_data(ctypes.Structure):
    """What a filter sees: registers, and no memory."""

    _fields_ = (
        ("nr", ctypes.c_int32),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("args", ctypes.c_uint64 * 6),
    )


class seccomp_notif(ctypes.Structure):
    """A call that waits for an answer. `pid` is the thread's number in the listener's PID namespace."""

    _fields_ = (
        ("id", ctypes.c_uint64),
        ("pid", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("data", seccomp_data),
    )


class seccomp_notif_resp(ctypes.Structure):
    """The answer: `val`, or `error` (negative), or FLAG_CONTINUE, and then neither."""

    _fields_ = (
        ("id", ctypes.c_uint64),
        ("val", ctypes.c_int64),
        ("error", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
    )


def _ioctl(direction: int, number: int, size: int) -> int:
    """_IOC of asm-generic/ioctl.h, for the letter '!'."""
    return direction << 30 | size << 16 | ord("!") << 8 | number


_WRITE, _READ_WRITE = 1, 3
SECCOMP_IOCTL_NOTIF_RECV = _ioctl(_READ_WRITE, 0, ctypes.sizeof(seccomp_notif))
SECCOMP_IOCTL_NOTIF_SEND = _ioctl(_READ_WRITE, 1, ctypes.sizeof(seccomp_notif_resp))
SECCOMP_IOCTL_NOTIF_ID_VALID = _ioctl(_WRITE, 2, 8)
SECCOMP_IOCTL_NOTIF_SET_FLAGS = _ioctl(_WRITE, 4, 8)
