"""linux/capability.h and securebits.h: what a thread may do that its user may not."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Set

CAP_SETGID = 6
CAP_SETUID = 7
CAP_SETPCAP = 8
CAP_NET_BIND_SERVICE = 10
CAP_NET_ADMIN = 12
CAP_NET_RAW = 13
CAP_SYS_PTRACE = 19
CAP_SYS_ADMIN = 21
CAP_SYS_NICE = 23
CAP_SYS_RESOURCE = 24
CAP_BPF = 39

_LINUX_CAPABILITY_VERSION_3 = 0x20080522
_WORDS = 2  # _LINUX_CAPABILITY_U32S_3

# Each bit is followed by the one that locks it (securebits.h).
SECBIT_NOROOT = 1 << 0  # executing as root gives no capability
SECBIT_NO_SETUID_FIXUP = 1 << 2  # becoming another user takes none, so that some may be kept
SECBIT_KEEP_CAPS_LOCKED = 1 << 5
SECBIT_NO_CAP_AMBIENT_RAISE = 1 << 6


def locked(bits: int) -> int:
    """The secure bits together with their locks."""
    return bits | bits << 1


class __user_cap_header_struct(ctypes.Structure):
    """Whose: `pid` 0 is the calling thread."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class __user_cap_data_struct(ctypes.Structure):
    """32 capabilities of each set; the second one of an array has those from number 32 on."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_libc = ctypes.CDLL(None, use_errno=True)


def capset(allowed: Set[int]) -> None:
    """Give the calling thread exactly these, permitted and effective, and none that it hands on. Raises OSError."""
    data = (__user_cap_data_struct * _WORDS)()
    for number in allowed:
        word = data[number // 32]
        word.permitted = word.effective = word.permitted | 1 << number % 32
    _call(_libc.capset, data)


def effective() -> int:
    """What the calling thread may do now, bit by bit. Raises OSError."""
    return sum(word.effective << 32 * index for index, word in enumerate(_get()))


def set_effective(bits: int) -> None:
    """Let the calling thread do these now, of those that it is permitted. Raises OSError."""
    data = _get()
    for index, word in enumerate(data):
        word.effective = bits >> 32 * index & 0xFFFFFFFF
    _call(_libc.capset, data)


def _get() -> ctypes.Array[__user_cap_data_struct]:
    data = (__user_cap_data_struct * _WORDS)()
    _call(_libc.capget, data)
    return data


def _call(function: Callable[..., int], data: ctypes.Array[__user_cap_data_struct]) -> None:
    header = __user_cap_header_struct(_LINUX_CAPABILITY_VERSION_3, 0)
    if function(ctypes.byref(header), data):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
