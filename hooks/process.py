"""What a process asks the kernel for itself: to end with its parent, keep its memory to itself, adopt orphans."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from hooks.linux.prctl import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_PDEATHSIG, prctl


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the *thread* that made this process ends: a `preexec_fn` for Popen."""
    prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))


def keep_memory_private() -> None:
    """Leave no core file, and let no process without CAP_SYS_PTRACE attach or read this one's memory. For good; what is
    forked later inherits both. A limit alone doesn't stop a core file that a pipe takes (core_pattern)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(PR_SET_DUMPABLE, 0)


def name_process(name: str) -> None:
    """What `ps -o comm` calls it: TASK_COMM_LEN (16) bytes with the zero that ends it, the rest is cut off. Called by
    its only thread, as each has a name of its own."""
    text = ctypes.create_string_buffer(name.encode())
    prctl(PR_SET_NAME, ctypes.addressof(text))


def processor_seconds(pid: int) -> float | None:
    """What all threads of a process have had of processors, by the clock that clock_getcpuclockid(3) tells of, which
    anybody may read; None if there is no such process."""
    scheduled = 2  # CPUCLOCK_SCHED of include/linux/posix-timers_types.h
    try:
        return time.clock_gettime(~pid << 3 | scheduled)
    except OSError:
        return None


def forget_signals() -> None:
    """Let every signal do to this process what it does by default, and let none wait: a child that was forked has its
    parent's handlers, and its mask. Called by its only thread."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def adopt_orphans() -> None:
    """What this process starts, and what that starts, becomes its child when it loses its parent."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def wait_for_all(command: int) -> int:
    """Until this process has no children any more: how the one of that number ended, 128 and more by a signal."""
    status = 0
    while True:
        try:
            ended, how = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if ended == command:
            code = os.waitstatus_to_exitcode(how)
            status = code if code >= 0 else 128 - code


CANNOT_EXECUTE, NOT_FOUND = 126, 127  # exit statuses, as shells have them
_PYTHONS_OWN = (signal.SIGPIPE, signal.SIGXFSZ)  # ignored by every Python


def become(command: Sequence[str]) -> NoReturn:
    """Execute a command of PATH in this process, a child that was forked; it ends, and says why, if it can't."""
    status = CANNOT_EXECUTE
    try:
        for caught in _PYTHONS_OWN:
            signal.signal(caught, signal.SIG_DFL)
        os.execvp(command[0], list(command))
    except FileNotFoundError:
        status = NOT_FOUND
        os.write(2, f"tidegate: {command[0]}: command not found\n".encode())
    except OSError as error:
        os.write(2, f"tidegate: {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(status)


class ForkedProcess:
    """A child made by fork, with what Popen offers for one that was executed. Made by the only thread of a process."""

    def __init__(self, life: Callable[[], NoReturn]) -> None:
        """`life` is what the child does, and ends with. Raises OSError."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            try:
                life()
            finally:
                os._exit(1)
        self._pidfd = os.pidfd_open(self.pid)
        self._ended = False

    def poll(self) -> int | None:
        """0 once it has ended, None before."""
        return self._reap(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        if self._reap(timeout) is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return 0

    def kill(self) -> None:
        """SIGKILL. Raises PermissionError if it is another user's by now."""
        if not self._ended:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _reap(self, timeout: float | None) -> int | None:
        if self._ended:
            return 0
        if not select.select([self._pidfd], [], [], timeout)[0]:
            return None
        os.waitpid(self.pid, 0)
        os.close(self._pidfd)
        self._ended = True
        return 0
