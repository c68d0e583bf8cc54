"""Those who ask the keeper: a request and what a prover made of it go in, and an approval comes out.

with KeeperClient.start(path) as keeper:          before there are threads
    trust = Trust([TrustedKey(keeper.public, own=True)])
    approval = keeper.sign(request, built)
    approved = trust.check(approval, built, request, time.time())
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from appliance.box.approval.envelope import Approval
from appliance.box.approval.keeping.keeper import LIFETIME, Duties, KeyFile, fork_keeper
from appliance.box.approval.keeping.protocol import LARGEST_REQUEST, Channel, KeeperGone, Status
from appliance.box.approval.keys import PUBLIC_SIZE, PublicKey
from appliance.box.approval.statements.claim import CLAIM, Claim
from appliance.box.approval.statements.forms import Malformed, packed
from appliance.box.approval.tables import Tables
from appliance.box.proving.built import Built
from appliance.box.proving.request import BuildRequest
from appliance.closeable import Closeable
from appliance.errors import InputRefused

START_SECONDS = 10.0
END_SECONDS = 2.0


class KeeperRefused(InputRefused):
    """The keeper does not sign that, or has no key to sign with; its words say why."""


class KeeperClient(Closeable):
    """Any thread may ask; one is served after the other. `public` is the key to check by, `process` the keeper's id (0
    where it is somebody else's child)."""

    def __init__(self, connection: socket.socket, process: int = 0) -> None:
        """Waits until it is ready. Raises KeeperRefused, KeeperGone; the keeper is ended then."""
        self._channel = Channel(connection)
        self._lock = threading.Lock()
        self._closed = False
        self.process = process
        try:
            status, said = self._channel.answered(START_SECONDS)
            if status is Status.REFUSED:
                raise KeeperRefused(said.decode(errors="replace"))
            if status is not Status.READY or len(said) != PUBLIC_SIZE:
                raise Malformed("the keeper says what no keeper says")
        except BaseException:
            self.close()
            raise
        self.public = PublicKey(said)

    @classmethod
    def start(
        cls,
        path: Path | None,
        *,
        users: Iterable[int] | None = None,
        lifetime: int = LIFETIME,
        file: KeyFile = KeyFile.EITHER,
        tables: Tables | None = None,
    ) -> KeeperClient:
        """Start a keeper with the key in that file, None: with a key that ends with it. `users` may ask it (this
        process's if not given), `lifetime` is how long an approval holds, in seconds. To be called from the main thread
        before there are others. Raises KeeperRefused, KeeperGone."""
        asking = frozenset((os.geteuid(),) if users is None else users)
        process, connection = fork_keeper(Duties(path, asking, lifetime, file), tables or Tables.here())
        return cls(connection, process)

    def sign(self, request: BuildRequest, built: Built) -> Approval:
        """Approve this build as the answer to that request. Raises KeeperRefused, KeeperGone, and Malformed for a build
        that no claim can hold."""
        claim = packed(CLAIM, Claim.of(request, built))
        if len(claim) > LARGEST_REQUEST:
            raise Malformed(f"a build of {len(claim)} bytes of names and digests", where=request.object.source)
        with self._lock:
            if self._closed:
                raise KeeperGone("the keeper was ended")
            try:
                self._channel.ask(claim)
                status, said = self._channel.answered()
            except (KeeperGone, Malformed):
                self._end()  # what comes after half an answer is not the next one
                raise
        if status is not Status.SIGNED:
            raise KeeperRefused(
                f"the keeper refuses to sign: {said.decode(errors='replace')}", where=request.object.source
            )
        approval = Approval.of_bytes(said)
        if not approval.is_signed_by(self.public) or approval.statement().claim != Claim.of(request, built):
            raise KeeperRefused("the keeper signed something else", where=request.object.source)
        return approval

    def close(self) -> None:
        """End the keeper. Closing twice is harmless."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._channel.close()
        if self.process:
            _reap(self.process)


def _reap(process: int) -> None:
    """It ends when nobody can ask it any more; if it does not, it is ended."""
    end = time.monotonic() + END_SECONDS
    with suppress(ChildProcessError):
        while os.waitpid(process, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                return
            time.sleep(0.005)
