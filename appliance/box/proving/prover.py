"""Asking provers: `Prover.build(request) -> Built`, with an end to time, memory, and what an answer may be.

Whoever asks has a zygote (appliance.box.proving.zygote), and each request a process of its own. What comes back is
believed as far as its form goes: it is of what was asked for, and every part is there. That it was proved is for
signatures to say.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from appliance.box.proving.built import Built
from appliance.box.proving.channel import Bounds, Deadline, Late, Left, receive, send
from appliance.box.proving.child import Answer
from appliance.box.proving.errors import ProverAnsweredNonsense, ProverDied, ProverTimedOut
from appliance.box.proving.fate import await_begun, await_ended
from appliance.box.proving.form import check_form
from appliance.box.proving.records import Malformed, decode, encode
from appliance.box.proving.request import BuildRequest
from appliance.box.proving.zygote import LIMITS, READY
from appliance.closeable import Closeable
from appliance.errors import CannotRun, TidegateError

WORK = "appliance.box.proving.child:answer"
START_SECONDS = 60.0  # a machine that starts has other things to do
END_SECONDS = 5.0  # until the zygote has seen that nobody asks any more
KEPT = ("PATH", "LANG", "TZ", "VIRTUAL_ENV")  # of the environment, and what begins as PREFIXES
PREFIXES = ("LC_", "PYTHON", "COVERAGE")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one prover may have: bytes of address space, and seconds, of a processor and of the clock each."""

    memory: int = 1 << 30
    seconds: float = 30.0


class Prover(Closeable):
    """Builds by child processes. Any thread may ask, and several at once. Closing twice is harmless; what is being
    built then fails with ProverDied."""

    def __init__(self, limits: Limits = Limits(), *, work: str = WORK) -> None:
        """Start a zygote, and do not wait for it. `work`, for tests, is what the children do in the place of a build.

        Raises CannotRun if the machine can't start it."""
        self._limits = limits
        self._starting = threading.Lock()
        self._ready = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "appliance.box.proving", work],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=_environment(),
                    start_new_session=True,  # a terminal's Ctrl-C is not for it
                )
            except OSError as error:
                ours.close()
                raise CannotRun(f"the prover can't be started: {error.strerror}", where=sys.executable) from error

    def build(self, request: BuildRequest, timeout: float | None = None) -> Built:
        """What a fresh prover makes of the request, within `timeout` seconds (None: those of the limits).

        Raises what the build raised (Rejected, NotCompilable, MapRefused, ObjectError, InputRefused), and
        ProverTimedOut, ProverTooLarge, ProverDied or ProverAnsweredNonsense."""
        seconds = self._limits.seconds if timeout is None else timeout
        source = request.object.source
        self._await_ready(source)
        deadline = Deadline.after(seconds)
        with ExitStack() as opened:
            conversation, fate = self._begin(opened, source, seconds)
            try:
                pidfd = await_begun(fate, deadline)
                opened.callback(os.close, pidfd)
                opened.callback(_kill, pidfd)
                return self._converse(conversation, request, deadline)
            except Late:
                raise ProverTimedOut(source, seconds) from None
            except Malformed as error:
                raise ProverAnsweredNonsense(source, str(error)) from None
            except Left:
                raise self._why_it_left(fate, source, deadline, seconds) from None

    def _begin(self, opened: ExitStack, source: str, seconds: float) -> tuple[socket.socket, socket.socket]:
        """Ask for a prover: this side of the conversation with it, and of what becomes of it."""
        conversation, theirs = socket.socketpair()
        fate, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for each in (conversation, fate):
            opened.enter_context(each)
        with theirs, told:
            limits = LIMITS.pack(self._limits.memory, math.ceil(seconds))
            try:
                socket.send_fds(self._control, [limits], [theirs.fileno(), told.fileno()], socket.MSG_NOSIGNAL)
            except OSError:
                raise ProverDied(source, None, "the zygote is gone") from None
        return conversation, fate

    @staticmethod
    def _converse(conversation: socket.socket, request: BuildRequest, deadline: Deadline) -> Built:
        with suppress(Left):  # it may have said why in its answer, or in its end
            send(conversation, *encode(request), deadline)
        answer = decode(Answer, *receive(conversation, Bounds(), deadline))
        if (answer.built is None) == (answer.refusal is None):
            raise Malformed("neither a Built nor a refusal, or both")
        if answer.refusal is not None:
            raise answer.refusal.as_error()
        assert answer.built is not None
        check_form(answer.built, request)
        return answer.built

    def _why_it_left(self, fate: socket.socket, source: str, deadline: Deadline, seconds: float) -> TidegateError:
        try:
            ended = await_ended(fate, deadline)
        except Late:
            return ProverTimedOut(source, seconds)
        except (Left, OSError):
            return ProverDied(source, None, "the zygote is gone")
        return ended.error(source, self._limits.memory, seconds)

    def _await_ready(self, source: str) -> None:
        """Until the zygote has imported everything. Once."""
        with self._starting:
            if self._ready:
                return
            try:
                Deadline.after(START_SECONDS).wait(self._control.fileno(), 1)
                self._ready = self._control.recv(len(READY)) == READY
            except (Late, OSError):
                pass
            if not self._ready:
                raise ProverDied(source, None, "the zygote did not start")

    def close(self) -> None:
        self._control.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _kill(pidfd: int) -> None:
    """It is not needed any more. Another user's the zygote kills, as `fate` is closed."""
    with suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """What Python needs: nothing secret goes into the zygote."""
    return {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(PREFIXES)}
