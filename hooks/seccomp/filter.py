"""The filter that tells of system calls: classic BPF over the registers of a call.

    load arch   another machine's numbers (i386 under x86-64)?  kill: nobody would know what its calls are
    load nr     x32?                                            ENOSYS, as on a kernel without it
                refused (io_uring)?                             its errno
                watched, and its registers say so?              tell the listener
                                                                go on

A filter sees registers and no memory: whether there is an address at all (a pointer that isn't null), and flags.
Everything above the numbers of watched calls is the same for all arguments, so the kernel keeps it in a bitmap and runs
no filter for the calls that it doesn't tell of (seccomp_cache_prepare of kernel/seccomp.c).
"""

from __future__ import annotations

import ctypes
import errno
import platform
from collections.abc import Iterable
from dataclasses import dataclass

from hooks.errors import HookError
from hooks.linux import seccomp as kernel
from hooks.linux.filter import BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter
from hooks.linux.unistd import number_of

ARCHITECTURES = {"x86_64": kernel.AUDIT_ARCH_X86_64, "aarch64": kernel.AUDIT_ARCH_AARCH64}

CLONE_FILES, CLONE_THREAD = 0x400, 0x10000  # linux/sched.h


@dataclass(frozen=True, slots=True)
class Watch:
    """A call to tell of. With `pointer`, only if that argument isn't null, with `flag`, if that argument has one of
    those bits, with `values`, if it is one of those; with several, if one of them is so. Arguments count from 0."""

    call: str
    pointer: int | None = None
    flag: tuple[int, int] | None = None
    values: tuple[int, tuple[int, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that fails with `errno`: with `flags`, where the first argument has those bits and not those."""

    call: str
    errno: int
    flags: tuple[int, int] | None = None


# What makes system calls that no filter sees. Programs that use it know how to do without: ENOSYS is a kernel of old.
WALKS_PAST = tuple(Refusal(call, errno.ENOSYS) for call in ("io_uring_setup", "io_uring_enter", "io_uring_register"))
# Descriptors that are shared by processes, and not only by threads of one. The flags of clone3(2) are in memory; the C
# library goes back to clone(2) where there is none.
SHARED_FILES = (Refusal("clone3", errno.ENOSYS), Refusal("clone", errno.EPERM, (CLONE_FILES, CLONE_THREAD)))


def build_filter(watches: Iterable[Watch], refusals: Iterable[Refusal] = WALKS_PAST) -> list[sock_filter]:
    """The filter for this machine. Raises HookError on one whose numbers aren't known here."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise HookError(f"the system calls of {machine} aren't known here", hint=f"known: {', '.join(ARCHITECTURES)}")
    program = [_load("arch"), _jump(BPF_JEQ, ARCHITECTURES[machine], 1, 0), _ret(kernel.SECCOMP_RET_KILL_PROCESS)]
    program.append(_load("nr"))
    if machine == "x86_64":
        program += [_jump(BPF_JGE, kernel.X32_SYSCALL_BIT, 0, 1), _ret(kernel.SECCOMP_RET_ERRNO | errno.ENOSYS)]
    for call, body in (
        *((refusal.call, _refuse(refusal)) for refusal in refusals),
        *((watch.call, _tell(watch)) for watch in watches),
    ):
        program += [_jump(BPF_JEQ, number_of(call), 0, len(body)), *body]
    return [*program, _ret(kernel.SECCOMP_RET_ALLOW)]


# What follows where the number is that of the call: it ends in an answer.


def _refuse(refusal: Refusal) -> list[sock_filter]:
    refused = _ret(kernel.SECCOMP_RET_ERRNO | refusal.errno)
    if refusal.flags is None:
        return [refused]
    with_, without = refusal.flags
    tests = [_load("args"), _jump(BPF_JSET, with_, 0, 1), _jump(BPF_JSET, without, 0, 1)]
    return [*tests, _ret(kernel.SECCOMP_RET_ALLOW), refused]


def _tell(watch: Watch) -> list[sock_filter]:
    if watch == Watch(watch.call):
        return [_ret(kernel.SECCOMP_RET_USER_NOTIF)]
    tests: list[tuple[sock_filter, int, int]] = []  # what is loaded, how it is tested, for which bits
    if watch.pointer is not None:
        tests += [(_load("args", watch.pointer, half), BPF_JSET, 0xFFFFFFFF) for half in (0, 4)]
    if watch.flag is not None:
        argument, bits = watch.flag
        tests.append((_load("args", argument), BPF_JSET, bits))
    if watch.values is not None:
        argument, values = watch.values
        tests += [(_load("args", argument), BPF_JEQ, value) for value in values]
    body = []
    for index, (load, test, bits) in enumerate(tests):
        left = 2 * (len(tests) - index - 1)  # instructions of the tests that follow; behind them: go on, tell
        body += [load, _jump(test, bits, left + 1, 0)]
    return [*body, _ret(kernel.SECCOMP_RET_ALLOW), _ret(kernel.SECCOMP_RET_USER_NOTIF)]


def _load(field: str, argument: int = 0, half: int = 0) -> sock_filter:
    """32 bits of struct seccomp_data; both machines are little endian."""
    place: int = getattr(kernel.seccomp_data, field).offset
    return sock_filter(BPF_LD | BPF_W | BPF_ABS, 0, 0, place + ctypes.sizeof(ctypes.c_uint64) * argument + half)


def _jump(test: int, value: int, then: int, otherwise: int) -> sock_filter:
    return sock_filter(BPF_JMP | test | BPF_K, then, otherwise, value)


def _ret(answer: int) -> sock_filter:
    return sock_filter(BPF_RET | BPF_K, 0, 0, answer)
