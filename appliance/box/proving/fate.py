"""What becomes of a prover, as the zygote tells it: a descriptor of its process first, and at the end how it ended.

zygote ──("begun", pidfd)──> asker                  a SOCK_SEQPACKET pair for each prover, of which the prover
       ──("ended", status, last words)──> asker     itself has no end: it can't lie about how it ended
       <──(closed) asker: kill it
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
from dataclasses import dataclass

from appliance.box.proving.channel import Deadline, Left
from appliance.box.proving.errors import ProverDied, ProverTimedOut, ProverTooLarge
from appliance.errors import TidegateError

ENDED = struct.Struct("<i")  # the status, as wait(2) has it
BEGUN = b"begun"
WORDS = 1000  # bytes of last words
OUT_OF_MEMORY = 3  # the exit status of a prover that Python refused memory

# What LLVM and C++ say before they abort for want of memory.
_WANT_OF_MEMORY = ("out of memory", "bad_alloc", "MemoryError")


@dataclass(frozen=True, slots=True)
class Fate:
    """How a prover ended: `status` as wait(2) has it, and the last that it wrote to standard error."""

    status: int
    words: str

    def error(self, source: str, memory: int, seconds: float) -> TidegateError:
        """What to raise for a prover of those limits that had not answered."""
        number = os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else None
        code = os.waitstatus_to_exitcode(self.status)
        if code == OUT_OF_MEMORY or any(words in self.words for words in _WANT_OF_MEMORY):
            return ProverTooLarge(source, memory)
        if number == signal.SIGXCPU:  # RLIMIT_CPU
            return ProverTimedOut(source, seconds)
        return ProverDied(source, number, self.words.strip().rpartition("\n")[2])


def tell_begun(fate: socket.socket, pidfd: int) -> None:
    """The zygote's first word. Raises OSError if nobody wants to know."""
    socket.send_fds(fate, [BEGUN], [pidfd], socket.MSG_NOSIGNAL)


def tell_ended(fate: socket.socket, status: int, words: bytes) -> None:
    """The zygote's last word. Raises OSError if nobody wants to know."""
    fate.send(ENDED.pack(status) + words[-WORDS:], socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)


def await_begun(fate: socket.socket, deadline: Deadline) -> int:
    """The prover's pidfd, which is the caller's to close. Raises Late; Left if the zygote is gone."""
    deadline.wait(fate.fileno(), select.POLLIN)
    message, descriptors, _, _ = socket.recv_fds(fate, len(BEGUN), 1, socket.MSG_CMSG_CLOEXEC)
    if message != BEGUN or len(descriptors) != 1:
        raise Left
    return descriptors[0]


def await_ended(fate: socket.socket, deadline: Deadline) -> Fate:
    """Raises Late; Left if the zygote is gone."""
    deadline.wait(fate.fileno(), select.POLLIN)
    message = fate.recv(ENDED.size + WORDS)
    if len(message) < ENDED.size:
        raise Left
    (status,) = ENDED.unpack_from(message)
    words = message[ENDED.size :].decode("ascii", "backslashreplace")
    return Fate(status, "".join(letter for letter in words if letter.isprintable() or letter == "\n"))
