"""A command that starts under a filter, and the listener of the calls that wait.

    fork ──┬── this process ── takes the listener (pidfd_getfd) ── "go on" ─────────> serves
           └── the child ── no new privileges, if it must ── Landlock ── seccomp ─┐
                            its number down the pipe <────────────────────────────┘
                            waits for "go on" ── exec

Between the filter and exec the child makes no call that may be watched: nobody serves yet. The descriptor is taken and
not sent, as sendmsg(2) may be watched.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from hooks.errors import HookError
from hooks.linux import seccomp as kernel
from hooks.linux.capability import CAP_SYS_ADMIN, effective
from hooks.linux.filter import sock_filter, sock_fprog
from hooks.linux.prctl import PR_SET_NO_NEW_PRIVS, prctl
from hooks.linux.unistd import syscall
from hooks.process import CANNOT_EXECUTE, become
from hooks.seccomp.landlock import restrict_network
from hooks.seccomp.listener import Listener

_REPORT = struct.Struct("=ii")  # the listener's number in the child or -1, and an errno


@dataclass(frozen=True, slots=True)
class Launched:
    """A process under a filter, and its listener."""

    process: int
    listener: Listener


def launch(command: Sequence[str], filter_: Sequence[sock_filter], *, closed_network: int = 0) -> Launched:
    """Start a command of PATH under a filter, which everything that it starts inherits.

    `closed_network` are the LANDLOCK_ACCESS_NET_* that the kernel is to refuse it beside (see `restrict_network`).
    To be called while there is one thread. Raises HookError.
    """
    reports, report = os.pipe()
    held, go_on = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go_on)
        _become(command, filter_, closed_network, report, held)
    try:
        os.close(report)
        os.close(held)
        said = os.read(reports, _REPORT.size)
        if len(said) < _REPORT.size:
            raise HookError("the process ended before it had a filter")
        number, code = _REPORT.unpack(said)
        if number < 0:
            os.waitpid(child, 0)
            raise HookError(f"the kernel refuses the filter: {os.strerror(code)}", hint=_HINT)
        listener = _take(child, number)
        os.write(go_on, b"!")
        return Launched(child, listener)
    finally:
        os.close(reports)
        os.close(go_on)


_HINT = "Linux 5.19 with seccomp is needed, and a process that no other filter with a listener watches"


def _take(child: int, number: int) -> Listener:
    try:
        process = os.pidfd_open(child)
        try:
            return Listener(syscall("pidfd_getfd", process, number, 0))
        finally:
            os.close(process)
    except OSError as error:
        raise HookError(f"the listener can't be taken from the process: {error.strerror}") from error


def _become(
    command: Sequence[str], filter_: Sequence[sock_filter], closed_network: int, report: int, held: int
) -> NoReturn:
    """The child: nothing of Python may come back from here."""
    try:
        number, code = _enter(filter_, closed_network)
        os.write(report, _REPORT.pack(number, code))
        if number >= 0 and os.read(held, 1):
            os.close(number)
            become(command)
    finally:
        os._exit(CANNOT_EXECUTE)


def _enter(filter_: Sequence[sock_filter], closed_network: int) -> tuple[int, int]:
    """Restrict this process: the listener's number, or -1 and an errno."""
    program = (sock_filter * len(filter_))(*filter_)
    argument = sock_fprog(len(filter_), program)
    flags = kernel.SECCOMP_FILTER_FLAG_NEW_LISTENER | kernel.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
    try:
        if not effective() >> CAP_SYS_ADMIN & 1:  # else a filter may stand in front of a gain, too
            prctl(PR_SET_NO_NEW_PRIVS, 1)
        restrict_network(closed_network)
        return syscall("seccomp", kernel.SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(argument)), 0
    except OSError as error:
        return -1, error.errno or 0
