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
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from appliance.datapath.driver import drive
from appliance.datapath.hosts.channel import HostFailed
from appliance.datapath.hosts.child import live
from appliance.datapath.hosts.order import CheckBy
from appliance.memory import Arena
from hooks.linux.prctl import PR_SET_PDEATHSIG, prctl
from hooks.process import ForkedProcess, forget_signals, name_process

FORK_SECONDS = 5.0
MOST_WORDS = 1 << 18  # bytes of what it is told first
END_SECONDS = 5.0  # more than it takes the kernel to end them; who does not end is left to its own end


class Zygote:
    """The director's side. Any thread; made while the process has one thread."""

    def __init__(
        self,
        arena: Arena,
        check_by: CheckBy,
        seal: Callable[[], None] = lambda: None,
        confine: Callable[[], None] = lambda: None,
    ) -> None:
        """Fork it. `confine` is called in the zygote, which then gives up what it was born with; `seal` in its
        children, and what `check_by` makes of the words of `begin`: see Child."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.arena = arena
        self._lock = threading.Lock()
        with theirs:
            self._process = ForkedProcess(lambda: _serve(theirs, Born(arena, check_by, seal), confine))
        self._connection = ours
        self._connection.settimeout(FORK_SECONDS)

    def begin(self, words: bytes) -> None:
        """Say what its children check by: before the first is forked, and once. Raises HostFailed."""
        try:
            self._connection.sendall(words)
        except OSError as error:
            raise HostFailed(f"the zygote of datapaths is gone: {error}") from error

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
        """End it, and the processes that it made, native threads and all. Closing twice is harmless."""
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)


@dataclass(frozen=True, slots=True)
class Born:
    """What a zygote has from its birth, for its children."""

    arena: Arena
    check_by: CheckBy
    seal: Callable[[], None]


def _serve(connection: socket.socket, born: Born, confine: Callable[[], None]) -> NoReturn:
    """In the zygote, which this ends."""
    try:
        forget_signals()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)  # it ends when its director does
        name_process("tg-datapaths")
        _close_others(connection.fileno(), born.arena.descriptor)
        confine()
        drive()  # code of ours, which no object has a part in: made once, and every child has it
        words = connection.recv(MOST_WORDS)
        if not words:
            os._exit(0)
        check = born.check_by(words)
        gc.collect()
        gc.freeze()
        children: dict[int, int] = {}
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == connection.fileno():
                    _fork(connection, lambda theirs: live(theirs, born.arena, check, born.seal), children, poll)
                elif descriptor in children:
                    os.waitpid(children.pop(descriptor), 0)
                    poll.unregister(descriptor)
                    os.close(descriptor)
    finally:
        os._exit(0)


def _end(children: Mapping[int, int]) -> NoReturn:
    """Nobody asks any more: end with all children, so that whoever waits for this process has waited for them."""
    for pidfd in children:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    for pid in children.values():
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
    os._exit(0)


def _fork(
    connection: socket.socket,
    life: Callable[[socket.socket], None],
    children: dict[int, int],
    poll: select.poll,
) -> None:
    asked, descriptors, _, _ = socket.recv_fds(connection, 8, 1)
    if not asked:
        _end(children)
    theirs = socket.socket(fileno=descriptors[0])
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(0)
        name_process("tg-datapath")
        connection.close()
        for known in children:
            os.close(known)
        life(theirs)
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
