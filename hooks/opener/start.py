"""Starting an opener: a fresh Python with `hooks.opener` in it and nothing of the box, in the caller's namespaces.

It is to be started while the process has privilege, which it may give up at once then: the opener has it by then.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from hooks.errors import HookError
from hooks.interfaces.saved_state import STATE_DIRECTORY
from hooks.opener.client import REQUEST_SECONDS, OpenerClient

MOST_WORKERS = 64
SOCKETS_PER_WORKER = 4  # what is open, what replaces it, and both of a process that is about to end
_COMMAND = (sys.executable, "-I", "-m", "hooks.opener")  # -I: nothing of the caller's environment or directory


class StartedOpener(OpenerClient):
    """The opener of this process, as its child; `process` is for those who look after it. Any thread."""

    def __init__(self, connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
        super().__init__(connection)
        self.process = process

    def end(self) -> None:
        """As OpenerClient's, and wait for the process. Raises HookError as well if it doesn't end."""
        try:
            super().end()
        finally:
            try:
                self.process.wait(REQUEST_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise HookError(f"waited {REQUEST_SECONDS:.0f} s for the opener to end, and killed it") from None


def start_opener(
    interfaces: Iterable[str],
    isolated: Iterable[str] = (),
    *,
    workers: int = MOST_WORKERS,
    state_directory: Path = STATE_DIRECTORY,
) -> StartedOpener:
    """Start the opener of this process, for these interfaces; `isolated` are those of them that it may isolate, and
    put back when this process ends or nobody has the connection any more. Raises OSError.

    Each of the `workers` has one socket on each interface, and SOCKETS_PER_WORKER while others take over.

    It writes to this process's standard error. Signals to a terminal's or a unit's processes don't end it.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    box = os.pidfd_open(os.getpid())
    try:
        told = {
            "connection": theirs.fileno(),
            "box": box,
            "opened": [*interfaces],
            "isolated": [*isolated],
            "most_sockets": workers * SOCKETS_PER_WORKER,
            "state_directory": str(state_directory),
        }
        process = subprocess.Popen(
            [*_COMMAND, json.dumps(told)],
            pass_fds=(theirs.fileno(), box),
            stdin=subprocess.DEVNULL,
            env={},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(box)
    return StartedOpener(ours, process)
