"""How a keeper is asked: one request and one answer at a time, over a pair of sockets that nobody else has.

    request    4 bytes: length, little endian │ a claim, packed (forms)
    answer     1 byte: status │ 4 bytes: length │ SIGNED: an envelope · REFUSED: words · READY: the public key

The kernel says with every byte who sent it (SCM_CREDENTIALS), so a socket that was passed on serves nobody else. Every
wait for the rest of a message that has begun has an end.
"""

from __future__ import annotations

import socket
import struct
import time
from enum import IntEnum

from appliance.box.approval.envelope import LARGEST_ENVELOPE
from appliance.box.approval.forms import Malformed
from appliance.errors import CannotRun

LARGEST_REQUEST = 1 << 20  # bytes
LARGEST_ANSWER = LARGEST_ENVELOPE
PATIENCE = 5.0  # seconds for a message that has begun, and for an answer
NOBODY = -1

_LENGTH = struct.Struct("<I")
_ANSWER = struct.Struct("<BI")
_CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid
_SPACE = socket.CMSG_SPACE(_CREDENTIALS.size)


class Status(IntEnum):
    """What an answer is."""

    SIGNED = 0
    REFUSED = 1
    READY = 2


class KeeperGone(CannotRun):
    """The other side ended, or said nothing in time."""


class Channel:
    """One end. One thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def fileno(self) -> int:
        return self._connection.fileno()

    def close(self) -> None:
        self._connection.close()

    def ask(self, request: bytes) -> None:
        """Raises KeeperGone."""
        self._send(_LENGTH.pack(len(request)) + request)

    def answer(self, status: Status, payload: bytes) -> None:
        """Raises KeeperGone."""
        self._send(_ANSWER.pack(status, len(payload)) + payload)

    def asked(self) -> tuple[bytes, int]:
        """The next request, and the user who sent it, NOBODY if several did; waits for its beginning as long as it
        takes. Raises KeeperGone at the end, Malformed for one that is too long."""
        self._connection.settimeout(None)
        first, sender = self._receive_some(1)
        end = time.monotonic() + PATIENCE
        head, same = self._receive(_LENGTH.size - 1, end)
        (length,) = _LENGTH.unpack(first + head)
        if length > LARGEST_REQUEST:
            raise Malformed(f"a request of {length} bytes")
        request, also = self._receive(length, end)
        return request, sender if {same, also} <= {sender, None} else NOBODY

    def answered(self, patience: float = PATIENCE) -> tuple[Status, bytes]:
        """The answer. Raises KeeperGone, Malformed."""
        end = time.monotonic() + patience
        head, _ = self._receive(_ANSWER.size, end)
        status, length = _ANSWER.unpack(head)
        if length > LARGEST_ANSWER or status not in iter(Status):
            raise Malformed("the keeper says what no keeper says")
        return Status(status), self._receive(length, end)[0]

    def _send(self, data: bytes) -> None:
        self._connection.settimeout(PATIENCE)
        try:
            self._connection.sendall(data)
        except TimeoutError:
            raise KeeperGone(f"nobody took the message in {PATIENCE:g} s") from None
        except OSError as error:
            raise KeeperGone(f"nobody takes the message: {error.strerror}") from None

    def _receive(self, size: int, end: float) -> tuple[bytes, int | None]:
        """So many bytes until then (CLOCK_MONOTONIC), and who sent them: None if there were none to send."""
        data, senders = bytearray(), set()
        while len(data) < size:
            self._connection.settimeout(max(0.001, end - time.monotonic()))
            part, sender = self._receive_some(size - len(data))
            data += part
            senders.add(sender)
        return bytes(data), (senders.pop() if len(senders) == 1 else NOBODY) if senders else None

    def _receive_some(self, most: int) -> tuple[bytes, int]:
        try:
            data, ancillary, _, _ = self._connection.recvmsg(most, _SPACE)
        except TimeoutError:
            raise KeeperGone("the message did not end in time") from None
        except OSError as error:
            raise KeeperGone(f"the other side is gone: {error.strerror}") from None
        if not data:
            raise KeeperGone("the other side is gone")
        for level, kind, said in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(said) >= _CREDENTIALS.size:
                return data, _CREDENTIALS.unpack_from(said)[1]
        return data, NOBODY
