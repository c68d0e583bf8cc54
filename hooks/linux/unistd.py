"""asm/unistd.h: the numbers of the system calls that the guard watches and makes, and syscall(2)."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Mapping

# From Linux 5.1 on, a new call has one number on every machine.
_EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
    "landlock_create_ruleset": 444,
    "landlock_restrict_self": 446,
}
SYSCALLS: Mapping[str, Mapping[str, int]] = {
    "x86_64": {
        **_EVERYWHERE,
        **{"socket": 41, "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47},
        **{"bind": 49, "listen": 50, "accept4": 288, "recvmmsg": 299, "sendmmsg": 307},
        **{"kcmp": 312, "seccomp": 317},
    },
    "aarch64": {
        **_EVERYWHERE,
        **{"socket": 198, "bind": 200, "listen": 201, "accept": 202, "connect": 203, "sendto": 206, "recvfrom": 207},
        **{"sendmsg": 211, "recvmsg": 212, "accept4": 242, "recvmmsg": 243},
        **{"sendmmsg": 269, "kcmp": 272, "seccomp": 277},
    },
}

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_HERE = SYSCALLS.get(platform.machine(), {})


def number_of(name: str) -> int:
    """This machine's number of a call. Raises OSError (ENOSYS) if it isn't known here."""
    if name not in _HERE:
        raise OSError(errno.ENOSYS, f"the number of {name}(2) on {platform.machine()} isn't known here")
    return _HERE[name]


def syscall(name: str, *arguments: object) -> int:
    """Make a call: numbers, addresses (`c_void_p`, 64 bits wide) and `byref(…)`. Raises OSError."""
    wide = [ctypes.c_long(given) if isinstance(given, int) else given for given in arguments]
    result = int(_syscall(number_of(name), *wide))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
