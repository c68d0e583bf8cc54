"""The keeper: a process that holds the private key, and does one thing with it.

    client                                  keeper (a child; the key was never anywhere else)
    Claim ── packed, fixed form ──────────> sender's user? ── form? ── tables.faults(claim)? ── no: REFUSED, and why
                                            serial, issued, expires: its own clock and count
    Approval <── verified by public key ─── the statement, written by itself, signed

It reads no object, no machine code, no JSON and no ELF; nothing that it is sent has a length that was not agreed upon.
What it is told was built it can't see for itself. It refuses what is not true of this machine, whoever says it: other
tables, versions or processors, symbols that nobody has. docs/security.md says what that leaves.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from appliance.box.approval.envelope import sign
from appliance.box.approval.files import exists
from appliance.box.approval.keeping.confinement import confine
from appliance.box.approval.keeping.protocol import Channel, KeeperGone, Status
from appliance.box.approval.keys import PrivateKey
from appliance.box.approval.statements.claim import CLAIM, Claim
from appliance.box.approval.statements.forms import Malformed, unpacked
from appliance.box.approval.statements.statement import Statement
from appliance.box.approval.tables import Tables, faults
from appliance.errors import TidegateError
from hooks.process import forget_signals, keep_memory_private, name_process
from hooks.sandbox.limits import be_killed_with_parent

LIFETIME = 90 * 86_400  # seconds that an approval of the box's own holds
_LONGEST_WORDS = 1024
_STANDARD_STREAMS = 3


class Keeper:
    """The key at work. One thread, in a process of its own."""

    def __init__(
        self,
        key: PrivateKey,
        tables: Tables,
        *,
        users: Iterable[int],
        lifetime: int = LIFETIME,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`users` are those who may ask; `lifetime` in seconds; `clock` in seconds since 1970."""
        self._key = key
        self._tables = tables
        self._users = frozenset(users)
        self._lifetime = lifetime
        self._clock = clock
        self._serial = 0

    def serve(self, channel: Channel) -> None:
        """Answer until the client is gone."""
        try:
            channel.answer(Status.READY, self._key.public.raw)
            while True:
                channel.answer(*self._answer(channel))
        except (KeeperGone, Malformed):  # whoever talks nonsense about lengths is not listened to any more
            return

    def _answer(self, channel: Channel) -> tuple[Status, bytes]:
        request, user = channel.asked()
        if user not in self._users:
            return _refused(f"user {user} may not ask for signatures")
        try:
            claim: Claim = unpacked(CLAIM, request)
            found = next(faults(claim, self._tables), None)
            if found is not None:
                return _refused(str(found))
            return Status.SIGNED, sign(self._statement(claim), [self._key]).to_bytes()
        except Malformed as error:
            return _refused(str(error))

    def _statement(self, claim: Claim) -> Statement:
        now = self._clock()
        self._serial = max(self._serial + 1, int(now * 1e6))
        return Statement(claim, self._serial, int(now), int(now) + self._lifetime)


class KeyFile(Enum):
    """Whether the key's file must be there."""

    KNOWN = "it is there"
    NEW = "it is made, and was not there"
    EITHER = "it is made if it isn't there"


@dataclass(frozen=True, slots=True)
class Duties:
    """What a keeper is to do: the key's file (None: a key that nobody ever sees), the users who may ask, and how long
    what it signs holds, in seconds."""

    path: Path | None
    users: frozenset[int]
    lifetime: int = LIFETIME
    file: KeyFile = KeyFile.EITHER


def keep(connection: socket.socket, duties: Duties, tables: Tables) -> int:
    """The whole life of the process, alone with the key; its exit status."""
    be_killed_with_parent()
    keep_memory_private()
    for ignored in (signal.SIGINT, signal.SIGHUP):  # of a terminal: the parent's to answer
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    channel = Channel(connection)
    try:
        key = key_at(duties.path, duties.file)
        confine(connection.fileno())
    except (TidegateError, OSError) as error:
        channel.answer(*_refused(str(error)))
        return 1
    Keeper(key, tables, users=duties.users, lifetime=duties.lifetime).serve(channel)
    return 0


def key_at(path: Path | None, file: KeyFile) -> PrivateKey:
    """The key of the file, or a new one. Raises FileRefused, KeyRefused."""
    if path is None:
        return PrivateKey.generate()
    if file is KeyFile.KNOWN or (file is KeyFile.EITHER and exists(path)):
        return PrivateKey.load(path)
    key = PrivateKey.generate()
    key.save(path)
    return key


def fork_keeper(duties: Duties, tables: Tables) -> tuple[int, socket.socket]:
    """Its process id, and the socket to ask it by. To be called from the main thread, before there are others, which
    a fork would leave behind in the middle of whatever they do."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        theirs.close()
        return process, ours
    status = os.EX_SOFTWARE
    try:
        forget_signals()
        name_process("tg-keeper")
        _close_all_but(theirs.fileno())
        status = keep(theirs, duties, tables)
    finally:
        os._exit(status)  # and nothing of what the parent would do at its end
    return 0, theirs


def _close_all_but(kept: int) -> None:
    os.closerange(_STANDARD_STREAMS, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))


def _refused(words: str) -> tuple[Status, bytes]:
    return Status.REFUSED, words.encode()[:_LONGEST_WORDS]
