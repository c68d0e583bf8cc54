"""Messages over a stream socket, with an end to waiting and to size.

     0      4               8               12              12 + document
    ┌──────┬───────────────┬───────────────┬───────────────┬───────────┐
    │ TGP1 │ document, u32 │ body, u32     │ document …    │ body …    │      little endian
    └──────┴───────────────┴───────────────┴───────────────┴───────────┘

Nothing is read that the head does not announce, and nothing is kept of a head that announces too much.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from dataclasses import dataclass

from appliance.box.proving.records import Malformed

HEAD = struct.Struct("<4sII")
MAGIC = b"TGP1"
MIB = 1 << 20


class Late(Exception):
    """The other side did not get there in time."""


class Left(Exception):
    """The other side is gone before the message was whole."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one message may have, in bytes. JSON takes some thirty times its size in memory while it is read."""

    document: int = 4 * MIB
    body: int = 64 * MIB


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock. `None` never comes."""

    at: float | None

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def wait(self, descriptor: int, events: int) -> None:
        """Until one of the events of poll(2) is there. Raises Late."""
        poll = select.poll()
        poll.register(descriptor, events)
        left = None if self.at is None else max(0.0, self.at - time.monotonic()) * 1000
        if not poll.poll(left):
            raise Late


NEVER = Deadline(None)


class Channel:
    """One end of a conversation; the socket stays its owner's. For one thread."""

    def __init__(self, stream: socket.socket) -> None:
        stream.setblocking(False)
        self._stream = stream

    def send(self, document: bytes, body: bytes, deadline: Deadline = NEVER) -> None:
        """All of a message. Raises Late, Left."""
        for part in (HEAD.pack(MAGIC, len(document), len(body)), document, body):
            view = memoryview(part)
            while view:
                deadline.wait(self._stream.fileno(), select.POLLOUT)
                try:
                    view = view[self._stream.send(view, socket.MSG_NOSIGNAL) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise Left from error

    def receive(self, bounds: Bounds, deadline: Deadline = NEVER) -> tuple[bytes, bytes]:
        """Document and body of a message. Raises Late, Left, and Malformed for one that is none or too large."""
        magic, document, body = HEAD.unpack(self._exactly(HEAD.size, deadline))
        if magic != MAGIC:
            raise Malformed(f"a message that begins with {magic!r}")
        for size, bound, what in ((document, bounds.document, "document"), (body, bounds.body, "body")):
            if size > bound:
                raise Malformed(f"a {what} of {size} bytes, where at most {bound} may be")
        return self._exactly(document, deadline), self._exactly(body, deadline)

    def _exactly(self, size: int, deadline: Deadline) -> bytes:
        data = bytearray()
        while len(data) < size:
            deadline.wait(self._stream.fileno(), select.POLLIN)
            try:
                part = self._stream.recv(min(size - len(data), MIB))
            except BlockingIOError:
                continue
            except OSError as error:
                raise Left from error
            if not part:
                raise Left
            data += part
        return bytes(data)
