"""Questions and answers between a process that directs and one that runs code: JSON and descriptors, one at a time.

Each is one datagram of a Unix socket pair (SOCK_SEQPACKET), with the descriptors that it speaks of (SCM_RIGHTS). What
is too long for one, machine code above all, is a file in memory among the descriptors.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

from appliance.errors import CannotRun

MOST_BYTES = 1 << 16
MOST_DESCRIPTORS = 250  # SCM_MAX_FD is 253
ANSWER_SECONDS = 10.0  # beyond what is waited for itself


class HostFailed(CannotRun):
    """The process that runs the code refused, is gone, or does not answer. `kind` is what it raised, if it told."""

    def __init__(self, what: str, *, kind: str = "") -> None:
        self.kind = kind
        super().__init__(what, hint="the datapath's process ended or hangs; the log says what came before")


class Asker:
    """One end: asks. Any thread; questions wait for each other."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._number = 0

    def ask(self, verb: str, descriptors: Sequence[int] = (), *, wait: float = 0.0, **values: Any) -> dict[str, Any]:
        """The answer. `wait` is how long the other one may take by what it is asked. Raises HostFailed."""
        with self._lock:
            self._number += 1
            question = json.dumps({"verb": verb, "sequence": self._number, **values}).encode()
            end = time.monotonic() + wait + ANSWER_SECONDS
            try:
                self._connection.settimeout(ANSWER_SECONDS)
                socket.send_fds(self._connection, [question], descriptors)
                return self._answer(verb, end)
            except OSError as error:
                raise HostFailed(f"the datapath's process does not answer `{verb}`: {error}") from error

    def _answer(self, verb: str, end: float) -> dict[str, Any]:
        while True:
            self._connection.settimeout(max(0.001, end - time.monotonic()))
            data = self._connection.recv(MOST_BYTES)
            if not data:
                raise HostFailed(f"the datapath's process is gone, and `{verb}` was not answered")
            answer: dict[str, Any] = json.loads(data)
            if answer["sequence"] != self._number:
                continue  # of a question that nobody waits for any more
            if "error" in answer:
                raise HostFailed(answer["error"], kind=answer["kind"])
            return answer

    def close(self) -> None:
        """The other end sees it, and ends."""
        self._connection.close()


class Answerer:
    """The other end: is asked. For one thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def next(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next question with its descriptors, which are the caller's; None once nobody asks any more."""
        data, descriptors, _, _ = socket.recv_fds(
            self._connection, MOST_BYTES, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            return None
        return json.loads(data), descriptors

    def answer(self, question: dict[str, Any], **values: Any) -> None:
        """Answer it."""
        self._send({"sequence": question["sequence"], **values})

    def refuse(self, question: dict[str, Any], error: Exception) -> None:
        """Answer that it could not be done."""
        self._send({"sequence": question["sequence"], "error": str(error), "kind": type(error).__name__})

    def _send(self, answer: dict[str, Any]) -> None:
        try:
            self._connection.send(json.dumps(answer).encode(), socket.MSG_NOSIGNAL)
        except OSError:
            return  # nobody is there to read it; the next question is the end
