"""The zygote of datapaths: a process with one thread, the arena and nothing else, which forks one for each generation.

    director ──(connection)──> zygote ──fork──> child       who answers on that connection
             <──(pidfd, pid)──

Whatever the director becomes, the children are made of what was there before it had read a document: no thread that
holds a lock, no descriptor, no memory of anybody's. When nobody asks any more it ends, and its children with it.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from appliance.datapath.driver import drive
from appliance.datapath.hosts.channel import HostFailed
from appliance.datapath.hosts.child import Check, live
from appliance.memory import Arena
from hooks.linux.prctl import PR_SET_PDEATHSIG, prctl

FORK_SECONDS = 5.0


class Zygote:
    """The director's side. Any thread; made while the process has one thread."""

    def __init__(
        self,
        arena: Arena,
        check: Check,
        seal: Callable[[], None] = lambda: None,
        confine: Callable[[], None] = lambda: None,
    ) -> None:
        """Fork it. `confine` is called in the zygote, which then gives up what it was born with; `check` and `seal` in
        its children: see Child."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.arena = arena
        self._lock = threading.Lock()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            _serve(theirs, arena, check, seal, confine)
        theirs.close()
        self._connection = ours
        self._connection.settimeout(FORK_SECONDS)

    def fork(self) -> tuple[socket.socket, int, int]:
        """A new process: a connection to it, its pidfd and its number. Raises HostFailed."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with self._lock, theirs:
                socket.send_fds(self._connection, [b"f"], [theirs.fileno()])
                told, descriptors, _, _ = socket.recv_fds(self._connection, 8, 1)
            if not descriptors:
                raise HostFailed("the zygote of datapaths is gone")
        except OSError as error:
            ours.close()
            raise HostFailed(f"the zygote of datapaths makes none: {error}") from error
        return ours, descriptors[0], int.from_bytes(told, "little")

    def close(self) -> None:
        """End it, and the processes that it made. Closing twice is harmless."""
        self._connection.close()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _serve(
    connection: socket.socket, arena: Arena, check: Check, seal: Callable[[], None], confine: Callable[[], None]
) -> None:
    """In the zygote, which this ends."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)  # it ends when its director does
        signal.set_wakeup_fd(-1)
        _close_others(connection.fileno(), arena.descriptor)
        confine()
        drive()  # code of ours, which no object has a part in: made once, and every child has it
        gc.collect()
        gc.freeze()
        children: dict[int, int] = {}
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == connection.fileno():
                    _fork(connection, arena, check, seal, children, poll)
                elif descriptor in children:
                    os.waitpid(children.pop(descriptor), 0)
                    poll.unregister(descriptor)
                    os.close(descriptor)
    finally:
        os._exit(0)


def _fork(
    connection: socket.socket,
    arena: Arena,
    check: Check,
    seal: Callable[[], None],
    children: dict[int, int],
    poll: select.poll,
) -> None:
    asked, descriptors, _, _ = socket.recv_fds(connection, 8, 1)
    if not asked:
        os._exit(0)
    theirs = socket.socket(fileno=descriptors[0])
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(0)
        connection.close()
        for known in children:
            os.close(known)
        live(theirs, arena, check, seal)
    theirs.close()
    pidfd = os.pidfd_open(pid)
    children[pidfd] = pid
    poll.register(pidfd, select.POLLIN)
    socket.send_fds(connection, [pid.to_bytes(8, "little")], [pidfd])


def _close_others(*kept: int) -> None:
    """All descriptors but these, and those of standard output and error, which it speaks by."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    wanted = sorted({0, 1, 2, *kept})
    for first, behind in zip(wanted, [*wanted[1:], 1 << 20], strict=True):
        os.closerange(first + 1, behind)
