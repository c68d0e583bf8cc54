"""Who asks: the process and the socket behind a call that a hook sees.

    HostContext ── SocketContext ── TaskContext ── BindContext, SockAddrContext
                                └── SockOpsContext

Programs see little of this in their contexts. It is what helpers answer from, and whoever runs a hook fills it in.

Sources: proc(5), socket(7); what the kernel's helpers of the same names answer (include/uapi/linux/bpf.h).
"""

from __future__ import annotations

import ctypes
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hooks.contracts.contract import Fields, HostContext

TASK_COMM_LEN = 16  # include/linux/sched.h: a name's bytes, the zero that ends it included
SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h
PID_BITS = 22  # PID_MAX_LIMIT of include/linux/threads.h is 1 << 22
WINDOWS_EPOCH = 116_444_736_000_000_000  # 1970, counted in 100 nanoseconds from 1601
PIDNS_INFO_SIZE = 8  # struct bpf_pidns_info of include/uapi/linux/bpf.h
TICKS = 10_000_000  # of 100 nanoseconds in a second


class SocketContext(HostContext):
    """The socket: the kernel's number for it (SO_COOKIE), and that of its network namespace (SO_NETNS_COOKIE)."""

    _fields_: ClassVar[Fields] = (("socket_cookie", ctypes.c_uint64), ("netns_cookie", ctypes.c_uint64))


class TaskContext(SocketContext):
    """The thread that makes the call.

    `pid_tgid` has the process in its upper half and the thread in the lower, `uid_gid` the group in its upper half and
    the user in the lower. `process_start_key` is a number that no two processes share while the machine runs.
    `thread_create_time` counts 100 nanoseconds from 1601. `logon_id` is the audit session, all ones if there is none.
    `is_admin` is 1 if the effective user is root.
    """

    _fields_: ClassVar[Fields] = (
        ("pid_tgid", ctypes.c_uint64),
        ("uid_gid", ctypes.c_uint64),
        ("process_start_key", ctypes.c_uint64),
        ("thread_create_time", ctypes.c_uint64),
        ("logon_id", ctypes.c_uint64),
        ("is_admin", ctypes.c_uint64),
        ("comm", ctypes.c_uint8 * TASK_COMM_LEN),
    )


SOCKET_FACTS = tuple(name for name, _ in SocketContext._fields_)
TASK_FACTS = (*SOCKET_FACTS, *(name for name, _ in TaskContext._fields_))


@dataclass(frozen=True, slots=True)
class Task:
    """One thread as /proc shows it. Times are in seconds: since the machine started, and of that moment since 1970."""

    process: int
    thread: int
    user: int
    group: int
    effective_user: int
    session: int
    name: bytes
    process_ticks: int
    thread_started: float
    machine_started: int

    @classmethod
    def of(cls, process: int, thread: int) -> Task:
        """Ask /proc. Raises OSError if there is no such thread."""
        home = Path("/proc") / str(process)
        own = home / "task" / str(thread)
        status = dict(line.split(":\t", 1) for line in (own / "status").read_text().splitlines() if ":\t" in line)
        user, effective_user = (int(number) for number in status["Uid"].split()[:2])
        return cls(
            process=process,
            thread=thread,
            user=user,
            group=int(status["Gid"].split()[0]),
            effective_user=effective_user,
            session=_audit_session(home),
            name=(own / "comm").read_bytes().rstrip(b"\n"),
            process_ticks=_start_ticks(home),
            thread_started=_start_ticks(own) / os.sysconf("SC_CLK_TCK"),
            machine_started=_boot_time(),
        )

    @classmethod
    def own(cls) -> Task:
        """The calling thread."""
        return cls.of(os.getpid(), int(Path("/proc/thread-self").readlink().name))

    def fill_in(self, context: TaskContext) -> None:
        """Write what helpers answer about this task."""
        context.pid_tgid = self.process << 32 | self.thread
        context.uid_gid = self.group << 32 | self.user
        context.process_start_key = self.process_ticks << PID_BITS | self.process
        context.thread_create_time = WINDOWS_EPOCH + int((self.machine_started + self.thread_started) * TICKS)
        context.logon_id = self.session
        context.is_admin = self.effective_user == 0
        context.comm[:] = self.name[: TASK_COMM_LEN - 1].ljust(TASK_COMM_LEN, b"\0")


def namespace_cookie() -> int:
    """The number of the calling thread's network namespace. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        return int.from_bytes(asking.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")


def fill_in_caller(context: HostContext) -> None:
    """Make the calling thread the one that asks, in a context that has room for it. Raises OSError."""
    if isinstance(context, SocketContext):
        context.netns_cookie = namespace_cookie()
    if isinstance(context, TaskContext):
        task = Task.own()
        task.fill_in(context)
        if hasattr(context, "process_id"):
            context.process_id = task.process


def _start_ticks(place: Path) -> int:
    """Field 22 of /proc/…/stat. The name, field 2, may hold blanks and parentheses: fields are counted behind it."""
    return int((place / "stat").read_bytes().rpartition(b")")[2].split()[19])


def _audit_session(home: Path) -> int:
    """All ones, as for a process without a session, if the kernel has no audit."""
    try:
        return int((home / "sessionid").read_text())
    except FileNotFoundError:
        return 0xFFFFFFFF


def _boot_time() -> int:
    lines = Path("/proc/stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("btime "))


def pid_namespace() -> tuple[int, int]:
    """Device and inode of this process's PID namespace, which identify it (namespaces(7))."""
    namespace = Path("/proc/self/ns/pid").stat()
    return namespace.st_dev, namespace.st_ino
