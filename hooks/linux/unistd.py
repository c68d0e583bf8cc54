"""asm/unistd.h: the numbers of the system calls that are watched, made or permitted here, and syscall(2)."""

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
    "clone3": 435,
    "pidfd_getfd": 438,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
SYSCALLS: Mapping[str, Mapping[str, int]] = {
    "x86_64": {
        **_EVERYWHERE,
        **{"socket": 41, "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47},
        **{"bind": 49, "listen": 50, "clone": 56, "accept4": 288, "recvmmsg": 299, "sendmmsg": 307},
        **{"kcmp": 312, "seccomp": 317},
        **{"read": 0, "write": 1, "close": 3, "poll": 7, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12},
        **{"rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28, "getpid": 39},
        **{"exit": 60, "gettimeofday": 96, "sysinfo": 99, "gettid": 186, "futex": 202, "sched_getaffinity": 204},
        **{"restart_syscall": 219, "clock_gettime": 228, "exit_group": 231, "tgkill": 234, "ppoll": 271},
        **{"getrandom": 318, "fstat": 5, "lseek": 8, "getsockname": 51, "getsockopt": 55, "clone": 56, "fcntl": 72},
        **{"clock_nanosleep": 230, "newfstatat": 262, "set_robust_list": 273, "dup3": 292, "rseq": 334},
        **{"rt_sigaction": 13, "sched_setscheduler": 144},
    },
    "aarch64": {
        **_EVERYWHERE,
        **{"socket": 198, "bind": 200, "listen": 201, "accept": 202, "connect": 203, "sendto": 206, "recvfrom": 207},
        **{"sendmsg": 211, "recvmsg": 212, "accept4": 242, "recvmmsg": 243},
        **{"clone": 220, "sendmmsg": 269, "kcmp": 272, "seccomp": 277},
        **{"read": 63, "write": 64, "close": 57, "ppoll": 73, "mmap": 222, "mprotect": 226, "munmap": 215},
        **{"brk": 214, "rt_sigprocmask": 135, "rt_sigreturn": 139, "sched_yield": 124, "mremap": 216},
        **{"madvise": 233, "getpid": 172, "exit": 93, "gettimeofday": 169, "sysinfo": 179, "gettid": 178},
        **{"futex": 98, "sched_getaffinity": 123, "restart_syscall": 128, "clock_gettime": 113},
        **{"exit_group": 94, "tgkill": 131, "getrandom": 278, "fstat": 80, "lseek": 62, "getsockname": 204},
        **{"getsockopt": 209, "clone": 220, "fcntl": 25, "clock_nanosleep": 115, "newfstatat": 79},
        **{"set_robust_list": 99, "dup3": 24, "rseq": 293, "rt_sigaction": 134, "sched_setscheduler": 119},
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
