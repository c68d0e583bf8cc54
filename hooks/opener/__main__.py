"""`python -I -m hooks.opener JSON`: an opener, as `start` starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from hooks.errors import HookError
from hooks.interfaces.isolation import IPV6_SETTINGS
from hooks.interfaces.netns_references import PROC
from hooks.interfaces.saved_state import remove_stale
from hooks.linux.capability import CAP_NET_ADMIN, CAP_NET_RAW
from hooks.opener.server import Permitted, Server
from hooks.process import name_process
from hooks.sandbox.capabilities import drop_privileges
from hooks.sandbox.landlock import refuse_files_and_network

KEPT = frozenset({CAP_NET_ADMIN, CAP_NET_RAW})
# It ends when its box has: a signal to all processes of a terminal or a unit must not open the interfaces before.
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def main() -> int:
    """The exit status: 0 done, 2 this process may not be an opener."""
    name_process("tg-opener")
    told = json.loads(sys.argv[1])
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    state_directory = Path(told["state_directory"])
    try:
        with suppress(OSError):
            state_directory.mkdir(parents=True, exist_ok=True)
            remove_stale(state_directory)  # to know which namespaces there are needs more than is kept
        drop_privileges(KEPT)
        confine(state_directory)
    except HookError as error:
        _log(str(error))
        return error.exit_status
    permitted = Permitted(frozenset(told["opened"]), frozenset(told["isolated"]), told["most_sockets"])
    with socket.socket(fileno=told["connection"]) as connection:
        Server(permitted, _log, state_directory).serve(connection, told["box"])
    return 0


def confine(state_directory: Path) -> None:
    """Root without capabilities still owns files: of this root only those are left that isolation is about. Where the
    kernel has no Landlock, all are. Raises HookError."""
    code = {Path(place) for place in (*sys.path, sys.base_prefix)}
    writable = [place for place in (state_directory, IPV6_SETTINGS) if place.is_dir()]
    try:
        for place in writable:
            os.open(place, os.O_PATH | os.O_CLOEXEC)  # kept, for a rule about /proc holds as long
        refuse_files_and_network([place for place in (*code, PROC) if place.is_dir()], writable)
    except OSError as error:
        raise HookError(f"the opener can't be confined by Landlock: {error.strerror}") from error


def _log(text: str) -> None:
    sys.stderr.write(f"tidegate: opener: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
