"""The filter of system calls: the kernel's numbers, and what becomes of calls that are not in the table."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from hooks.errors import HookError
from hooks.linux.mman import PROT_EXEC, PROT_READ, map_memory
from hooks.linux.prctl import PR_SET_NO_NEW_PRIVS, prctl
from hooks.linux.unistd import SYSCALLS, syscall
from hooks.sandbox.system_calls import Permitted, permit, restrict_system_calls

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
LIVING = tuple(Permitted(call) for call in ("read", "write", "exit_group", "brk", "munmap", "futex", "rt_sigprocmask"))


@pytest.mark.parametrize("machine", SYSCALLS)
def test_numbers_are_the_kernels(machine: str) -> None:
    told = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text())
    numbers = {name: int(number) for name, number in told}
    assert SYSCALLS[machine] == {name: numbers[name] for name in SYSCALLS[machine]}


def behind(filter_: tuple[Permitted, ...], attempt: Callable[[], object]) -> int:
    """The errno of what a child attempts under the filter, 0 if it was done, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        restrict_system_calls(permit(filter_))
        try:
            attempt()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 255)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_what_is_not_permitted_is_refused() -> None:
    assert behind(LIVING, lambda: os.open("/etc/passwd", os.O_RDONLY)) == errno.EPERM
    assert behind(LIVING, os.getppid) == 0  # its answer has no room for an errno
    assert behind(LIVING, lambda: os.kill(os.getppid(), 0)) == errno.EPERM


def test_an_argument_without_bits() -> None:
    mapping = (*LIVING, Permitted("mmap", argument=2, without=PROT_EXEC))
    assert behind(mapping, lambda: map_memory(None, 4096, PROT_READ, 0x22)) == 0
    assert behind(mapping, lambda: map_memory(None, 4096, PROT_READ | PROT_EXEC, 0x22)) == errno.EPERM


def test_an_argument_of_one_value() -> None:
    to_one = (*LIVING, Permitted("sendto", argument=0, equals=7))
    assert behind(to_one, lambda: syscall("sendto", 7, 0, 0, 0, 0, 0)) in (errno.EBADF, errno.ENOTSOCK)
    assert behind(to_one, lambda: syscall("sendto", 8, 0, 0, 0, 0, 0)) == errno.EPERM


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 is a part of x86-64 alone")
def test_numbers_of_x32_are_the_end() -> None:
    libc = ctypes.CDLL(None)
    assert behind(LIVING, lambda: libc.syscall(0x40000000 | 39)) == -signal.SIGSYS


def test_a_machine_whose_numbers_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with pytest.raises(HookError, match="the system calls of vax aren't known here"):
        permit(LIVING)
