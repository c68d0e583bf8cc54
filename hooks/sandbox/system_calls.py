"""A filter of system calls by a table of those that are permitted; all others are refused with EPERM.

    load arch   another machine's numbers (i386 under x86-64)?   kill: nobody would know what its calls are
    load nr     x32?                                             kill
                permitted, and its argument is as it must be?    go on
                                                                 EPERM

A filter sees registers and no memory: numbers, flags and descriptors, and no names. It binds the process and its
children for good. Source: Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import platform
from collections.abc import Iterable
from dataclasses import dataclass

from hooks.errors import HookError
from hooks.linux import seccomp as kernel
from hooks.linux.filter import (
    BPF_ABS,
    BPF_JEQ,
    BPF_JGE,
    BPF_JMP,
    BPF_JSET,
    BPF_K,
    BPF_LD,
    BPF_RET,
    BPF_W,
    sock_filter,
    sock_fprog,
)
from hooks.linux.unistd import SYSCALLS, syscall

ARCHITECTURES = {"x86_64": kernel.AUDIT_ARCH_X86_64, "aarch64": kernel.AUDIT_ARCH_AARCH64}
_REFUSED = kernel.SECCOMP_RET_ERRNO | errno.EPERM


@dataclass(frozen=True, slots=True)
class Permitted:
    """A call that may be made. With `argument` (from 0 on), only if the low 32 bits of it are `equals`, or, where that
    is None, have none of the bits of `without`; or, if it is to be `null`, if all 64 bits are 0: no address."""

    call: str
    argument: int | None = None
    equals: int | None = None
    without: int = 0
    null: bool = False


def permit(calls: Iterable[Permitted]) -> list[sock_filter]:
    """The filter for this machine; calls that it has no number for (poll on arm64) are left out. Raises HookError on a
    machine whose numbers aren't known here."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise HookError(f"the system calls of {machine} aren't known here", hint=f"known: {', '.join(ARCHITECTURES)}")
    kill = _ret(kernel.SECCOMP_RET_KILL_PROCESS)
    program = [_load("arch"), _jump(BPF_JEQ, ARCHITECTURES[machine], 1, 0), kill, _load("nr")]
    if machine == "x86_64":
        program += [_jump(BPF_JGE, kernel.X32_SYSCALL_BIT, 0, 1), kill]
    for permitted in calls:
        number = SYSCALLS[machine].get(permitted.call)
        if number is not None:
            body = _body(permitted)
            program += [_jump(BPF_JEQ, number, 0, len(body)), *body]
    return [*program, _ret(_REFUSED)]


def restrict_system_calls(filter_: list[sock_filter]) -> None:
    """Bind this thread, the only one of its process, for good. It must not gain privileges any more (no_new_privs).
    Raises OSError, also if the kernel knows no filters."""
    program = (sock_filter * len(filter_))(*filter_)
    syscall("seccomp", kernel.SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(sock_fprog(len(filter_), program)))


def _body(permitted: Permitted) -> list[sock_filter]:
    """What follows where the number is that of the call: it ends in an answer."""
    allow = _ret(kernel.SECCOMP_RET_ALLOW)
    if permitted.argument is None:
        return [allow]
    if permitted.null:
        low, high = _load("args", permitted.argument), _load_high("args", permitted.argument)
        return [low, _jump(BPF_JEQ, 0, 0, 3), high, _jump(BPF_JEQ, 0, 0, 1), allow, _ret(_REFUSED)]
    if permitted.equals is not None:
        test = _jump(BPF_JEQ, permitted.equals, 0, 1)
    else:
        test = _jump(BPF_JSET, permitted.without, 1, 0)
    return [_load("args", permitted.argument), test, allow, _ret(_REFUSED)]


def _load(field: str, argument: int = 0) -> sock_filter:
    """The low 32 bits of a part of struct seccomp_data; both machines are little endian."""
    place: int = getattr(kernel.seccomp_data, field).offset
    return sock_filter(BPF_LD | BPF_W | BPF_ABS, 0, 0, place + ctypes.sizeof(ctypes.c_uint64) * argument)


def _load_high(field: str, argument: int) -> sock_filter:
    """The high 32 bits."""
    low = _load(field, argument)
    return sock_filter(low.code, 0, 0, low.k + ctypes.sizeof(ctypes.c_uint32))


def _jump(test: int, value: int, then: int, otherwise: int) -> sock_filter:
    return sock_filter(BPF_JMP | test | BPF_K, then, otherwise, value)


def _ret(answer: int) -> sock_filter:
    return sock_filter(BPF_RET | BPF_K, 0, 0, answer)
