"""An opener for tests that look into it: the real server, over a real socket pair, in a thread beside the test.

What a test patches, the server sees; what it covers is counted. Processes of their own are for tests/hooks/opener.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hooks.interfaces.netdev import Interface
from hooks.opener.client import OpenerClient
from hooks.opener.server import Permitted, Server

BOTH = ("outside", "inside")


@contextmanager
def opener_beside(
    state_directory: Path, names: tuple[str, ...] = BOTH, log: Callable[[str], None] = lambda text: None
) -> Iterator[OpenerClient]:
    """In the namespace that the caller is in. It may open and isolate the interfaces of those names."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = Server(Permitted(frozenset(names), frozenset(names), most_sockets=4), log, state_directory)

    def serve() -> None:
        with theirs:
            server.serve(theirs)

    thread = threading.Thread(target=serve, name="opener")
    thread.start()
    try:
        with ours:
            yield OpenerClient(ours)
    finally:
        thread.join()


class IsolationByOpener:
    """As Isolation, by an opener that is there as long as it is."""

    def __init__(self, name: str, *, state_directory: Path) -> None:
        self._name, self._state_directory = name, state_directory
        self._held = ExitStack()

    def __enter__(self) -> Interface:
        with ExitStack() as entered:
            opener = entered.enter_context(opener_beside(self._state_directory, (self._name,)))
            interface = entered.enter_context(opener.isolate(self._name))
            self._held = entered.pop_all()
        return interface

    def __exit__(self, *_: object) -> None:
        self._held.close()
