"""`python -I -m hooks.opener JSON`: an opener, as `start` starts it."""

from __future__ import annotations

import json
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from hooks.errors import HookError
from hooks.interfaces.saved_state import remove_stale
from hooks.linux.capability import CAP_NET_ADMIN, CAP_NET_RAW
from hooks.opener.server import Permitted, Server
from hooks.sandbox.capabilities import drop_privileges

KEPT = frozenset({CAP_NET_ADMIN, CAP_NET_RAW})
# It ends when its box has: a signal to all processes of a terminal or a unit must not open the interfaces before.
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def main() -> int:
    """The exit status: 0 done, 2 this process may not be an opener."""
    told = json.loads(sys.argv[1])
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    state_directory = Path(told["state_directory"])
    try:
        with suppress(OSError):
            remove_stale(state_directory)  # to know which namespaces there are needs more than is kept
        drop_privileges(KEPT)
    except HookError as error:
        _log(str(error))
        return error.exit_status
    permitted = Permitted(frozenset(told["opened"]), frozenset(told["isolated"]), told["most_sockets"])
    with socket.socket(fileno=told["connection"]) as connection:
        Server(permitted, _log, state_directory).serve(connection, told["box"])
    return 0


def _log(text: str) -> None:
    sys.stderr.write(f"tidegate: opener: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
