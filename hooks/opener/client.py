"""An Opener that asks another process: what a box without privilege has in place of LOCAL."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from hooks.af_packet.fanout import Fanout
from hooks.af_packet.geometry import Geometry
from hooks.af_packet.socket import PacketSocket
from hooks.errors import HookError
from hooks.interfaces.isolation_watch import Openings
from hooks.interfaces.netdev import Interface
from hooks.opener.messages import MOST_BYTES, Answer, Request, Verb

REQUEST_SECONDS = 30.0  # a card that is told to switch its offloads may take ten


class OpenerClient:
    """Speaks with `server`, whose end of the socket pair is another one's. Any thread; a request waits for those before
    it, and for its answer, REQUEST_SECONDS at most. Closing twice is harmless.

    The opener puts every interface back as soon as nobody has this end any more. A child that is made by fork has it as
    well: it calls `forget`.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._asking = threading.Lock()
        self._number = 0

    def isolate(self, name: str) -> AbstractContextManager[Interface]:
        return _Isolation(self, name)

    def open_socket(
        self, interface: str, geometry: Geometry, *, fanout: Fanout | None = None, muted: bool = False
    ) -> PacketSocket:
        _, descriptors = self.ask(Request.to_open(interface, geometry, fanout, muted))
        first, second = descriptors
        return PacketSocket.adopt((first, second), interface, geometry)

    def close_again(self, held: Interface) -> Openings:
        result, _ = self.ask(Request.about(Verb.CLOSE_AGAIN, held.name))
        return Openings(**result)

    def end(self) -> None:
        """Have every interface put back, and the opener end. Raises HookError if one can't be, after the others."""
        if self._connection.fileno() >= 0:
            try:
                self.ask(Request.about(Verb.END))
            finally:
                self._connection.close()

    def forget(self) -> None:
        """Close this process's copy of the connection, and ask for nothing."""
        self._connection.close()

    def ask(self, request: Request) -> tuple[Mapping[str, Any], list[int]]:
        """The result, and descriptors that are the caller's. Raises what the opener raised, and HookError if it does
        not answer."""
        end = time.monotonic() + REQUEST_SECONDS
        if not self._asking.acquire(timeout=REQUEST_SECONDS):
            raise HookError(f"waited {REQUEST_SECONDS:.0f} s for what the opener was asked before")
        try:
            self._number += 1
            request.number = self._number
            answer, descriptors = self._exchange(request, end)
        except TimeoutError:
            raise HookError(f"waited {REQUEST_SECONDS:.0f} s for the opener") from None
        except OSError as error:
            raise HookError(f"the opener has ended: {error.strerror or error}") from error
        finally:
            self._asking.release()
        if answer.error is not None:
            raise answer.error
        return answer.result, descriptors

    def _exchange(self, request: Request, end: float) -> tuple[Answer, list[int]]:
        self._connection.settimeout(max(0.001, end - time.monotonic()))
        self._connection.send(bytes(request))
        while True:
            self._connection.settimeout(max(0.001, end - time.monotonic()))
            data, descriptors, flags, _ = socket.recv_fds(self._connection, MOST_BYTES, 2, socket.MSG_CMSG_CLOEXEC)
            if not data:
                raise ConnectionResetError("it closed the connection")
            if flags & socket.MSG_CTRUNC:  # this process may have no more descriptors
                for each in descriptors:
                    os.close(each)
                raise HookError("the opener's sockets can't be taken", hint="raise LimitNOFILE (ulimit -n)")
            answer = Answer.decode(data)
            if answer.number == request.number:
                return answer, descriptors
            for each in descriptors:  # it comes late: nobody waits for it any more
                os.close(each)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class _Isolation:
    """As hooks.interfaces.isolation.Isolation, by the opener. Leaving twice is harmless."""

    def __init__(self, client: OpenerClient, name: str) -> None:
        self._client = client
        self._name = name
        self._isolated = False

    def __enter__(self) -> Interface:
        told, _ = self._client.ask(Request.about(Verb.ISOLATE, self._name))
        self._isolated = True
        return Interface(**{**told, "addresses": tuple(told["addresses"])})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        isolated, self._isolated = self._isolated, False
        if isolated:
            self._client.ask(Request.about(Verb.RELEASE, self._name))
