"""How a keeper is asked: one request and one answer at a time, over a pair of sockets that nobody else has.

    request    4 bytes: length, little endian │ a claim, packed (forms)
    answer     1 byte: status │ 4 bytes: length │ SIGNED: an envelope · REFUSED: words · READY: the public key

The kernel says with every byte who sent it (SCM_CREDENTIALS), so a socket that was passed on serves nobody else. Every
wait for the rest of a message that has begun has an end.
"""

from __future__ import annotations

import ctypes
import select
import socket
import struct
from enum import IntEnum

from appliance.box.approval.envelope import LARGEST_ENVELOPE
from appliance.box.approval.statements.forms import Malformed
from appliance.box.proving.channel import NEVER, Deadline, Late
from appliance.errors import CannotRun
from hooks.linux.socket import ucred

LARGEST_REQUEST = 1 << 20  # bytes
LARGEST_ANSWER = LARGEST_ENVELOPE
PATIENCE = 5.0  # seconds for a message that has begun, and for an answer
NOBODY = -1

_LENGTH = struct.Struct("<I")
_ANSWER = struct.Struct("<BI")
_SPACE = socket.CMSG_SPACE(ctypes.sizeof(ucred))


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
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

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
        first, senders = self._receive(1, NEVER)
        end = Deadline.after(PATIENCE)
        head, also = self._receive(_LENGTH.size - 1, end)
        (length,) = _LENGTH.unpack(first + head)
        if length > LARGEST_REQUEST:
            raise Malformed(f"a request of {length} bytes")
        request, rest = self._receive(length, end)
        users = senders | also | rest
        return request, users.pop() if len(users) == 1 else NOBODY

    def answered(self, patience: float = PATIENCE) -> tuple[Status, bytes]:
        """The answer. Raises KeeperGone, Malformed."""
        end = Deadline.after(patience)
        head, _ = self._receive(_ANSWER.size, end)
        status, length = _ANSWER.unpack(head)
        if length > LARGEST_ANSWER or status not in iter(Status):
            raise Malformed("the keeper says what no keeper says")
        return Status(status), self._receive(length, end)[0]

    def _send(self, data: bytes) -> None:
        end, left = Deadline.after(PATIENCE), memoryview(data)
        try:
            while left:
                end.wait(self._connection.fileno(), select.POLLOUT)
                left = left[self._connection.send(left, socket.MSG_NOSIGNAL) :]
        except Late:
            raise KeeperGone(f"nobody took the message in {PATIENCE:g} s") from None
        except OSError as error:
            raise KeeperGone(f"nobody takes the message: {error.strerror}") from None

    def _receive(self, size: int, end: Deadline) -> tuple[bytes, set[int]]:
        """So many bytes until then, and the users who sent them."""
        data, senders = bytearray(), set[int]()
        try:
            while len(data) < size:
                end.wait(self._connection.fileno(), select.POLLIN)
                part, ancillary, _, _ = self._connection.recvmsg(size - len(data), _SPACE)
                if not part:
                    raise KeeperGone("the other side is gone")
                data += part
                senders.add(_sender(ancillary))
        except Late:
            raise KeeperGone("the message did not end in time") from None
        except OSError as error:
            raise KeeperGone(f"the other side is gone: {error.strerror}") from None
        return bytes(data), senders


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The user whom the kernel names; NOBODY if it names none."""
    for level, kind, said in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(said) >= ctypes.sizeof(ucred):
            return int(ucred.from_buffer_copy(said).uid)
    return NOBODY
