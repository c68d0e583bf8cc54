"""Asking provers: `Prover.build(request) -> Built`, with an end to time, memory, and what an answer may be.

Whoever asks has a zygote (appliance.box.proving.zygote), and each request a process of its own. What comes back is
believed as far as its form goes: it is of what was asked for, and every part is there. That it was proved is for
signatures to say.
"""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Self

from appliance.box.proving.built import Built
from appliance.box.proving.channel import BOUNDS, Channel, Deadline, Late, Left
from appliance.box.proving.child import Answer
from appliance.box.proving.confinement import Confinement
from appliance.box.proving.errors import ProverAnsweredNonsense, ProverDied, ProverTimedOut
from appliance.box.proving.fate import await_begun, await_ended
from appliance.box.proving.form import check_form
from appliance.box.proving.records import Malformed, decode, encode
from appliance.box.proving.request import BuildRequest
from appliance.box.proving.zygote import LIMITS, LONGEST_WORD, become_zygote
from appliance.closeable import Closeable
from appliance.errors import CannotRun, InputRefused, TidegateError
from hooks.process import ForkedProcess

_LOGGER = logging.getLogger("appliance.box.proving")

WORK = "appliance.box.proving.child:answer"
START_SECONDS = 60.0  # a machine that starts has other things to do
END_SECONDS = 5.0  # until the zygote has seen that nobody asks any more
KEPT = ("PATH", "LANG", "TZ", "VIRTUAL_ENV")  # of the environment, and what begins as PREFIXES
PREFIXES = ("LC_", "PYTHON")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one prover may have: bytes of address space, seconds of a processor, and, unless who asks says otherwise,
    seconds of the clock. Those are more: under a flood the workers come first, and an honest build must get there."""

    memory: int = 1 << 30
    seconds: float = 25.0
    patience: float = 120.0


class Prover(Closeable):
    """Builds by child processes. Any thread may ask, and several at once. Closing twice is harmless; what is being
    built then fails with ProverDied."""

    def __init__(self, limits: Limits = Limits(), *, work: str = WORK) -> None:
        """Start a zygote, and do not wait for it. `work`, for tests, is what the children do in the place of a build.

        Raises CannotRun if the machine can't start it."""
        self._hold(limits, work)
        self._start()

    @classmethod
    def fork(cls, log: Callable[[str], None], limits: Limits = Limits()) -> Self:
        """One whose zygote is a fork of this process, which has one thread, and has read nothing yet that others wrote:
        it costs no imports. `log` is told what provers do without. (A zygote that is started anew, as this one is gone,
        is a program of its own.) Raises CannotRun."""
        made = cls.__new__(cls)
        made._hold(limits, WORK)
        made._log = log
        made._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                made._process = ForkedProcess(lambda: become_zygote(theirs, WORK))
        except OSError as error:
            made._control.close()
            raise CannotRun(f"the prover can't be started: {error.strerror}") from error
        return made

    def _hold(self, limits: Limits, work: str) -> None:
        self._limits = limits
        self._work = work
        self._log: Callable[[str], None] = _LOGGER.warning
        self._starting = threading.Lock()
        self._closed = False
        self._confinement: Confinement | None = None
        self._process: subprocess.Popen[bytes] | ForkedProcess

    def _start(self) -> None:
        self._confinement = None
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "appliance.box.proving", self._work],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=_environment(),
                    start_new_session=True,  # a terminal's Ctrl-C is not for it
                )
            except OSError as error:
                self._control.close()
                raise CannotRun(f"the prover can't be started: {error.strerror}", where=sys.executable) from error

    @property
    def process_id(self) -> int:
        """The zygote's."""
        return self._process.pid

    def build(self, request: BuildRequest, timeout: float | None = None) -> Built:
        """What a fresh prover makes of the request, within `timeout` seconds (None: those of the limits).

        Raises what the build raised (Rejected, NotCompilable, MapRefused, ObjectError, InputRefused), and
        ProverTimedOut, ProverTooLarge, ProverDied or ProverAnsweredNonsense."""
        seconds = self._limits.patience if timeout is None else timeout
        source = request.object.source
        question = _question(request)
        self.ready()
        deadline = Deadline.after(seconds)
        with ExitStack() as opened:
            conversation, fate = self._begin(opened, source)
            try:
                pidfd = await_begun(fate, deadline)
                opened.callback(os.close, pidfd)
                opened.callback(_kill, pidfd)
                return self._converse(conversation, request, question, deadline)
            except Late:
                raise ProverTimedOut(source, seconds) from None
            except Malformed as error:
                raise ProverAnsweredNonsense(source, str(error)) from None
            except Left:
                raise self._why_it_left(fate, source, deadline, seconds) from None

    def _begin(self, opened: ExitStack, source: str) -> tuple[socket.socket, socket.socket]:
        """Ask for a prover: this side of the conversation with it, and of what becomes of it."""
        conversation, theirs = socket.socketpair()
        fate, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for each in (conversation, fate):
            opened.enter_context(each)
        with theirs, told:
            limits = LIMITS.pack(self._limits.memory, math.ceil(self._limits.seconds))
            try:
                socket.send_fds(self._control, [limits], [theirs.fileno(), told.fileno()], socket.MSG_NOSIGNAL)
            except OSError:
                raise ProverDied(source, None, "the zygote is gone") from None
        return conversation, fate

    @staticmethod
    def _converse(
        conversation: socket.socket, request: BuildRequest, question: tuple[bytes, bytes], deadline: Deadline
    ) -> Built:
        channel = Channel(conversation)
        with suppress(Left):  # it may have said why in its answer, or in its end
            channel.send(*question, deadline)
        answer = decode(Answer, *channel.receive(BOUNDS, deadline))
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
        return ended.error(source, self._limits.memory, self._limits.seconds)

    def ready(self) -> Confinement:
        """Wait until the zygote can fork; what holds of it and of every prover. One that is gone, ended by the kernel
        for want of memory, say, is started anew. Raises CannotRun if it isn't ready within START_SECONDS."""
        with self._starting:
            if self._process.poll() is not None and not self._closed:
                self._control.close()
                self._start()
            if self._confinement is None:
                self._confinement = self._await_ready()
                for lacking in self._confinement.lacks:
                    self._log(f"provers do without {lacking}")
            return self._confinement

    def _await_ready(self) -> Confinement:
        """The zygote's first word, once it has imported everything."""
        try:
            Deadline.after(START_SECONDS).wait(self._control.fileno(), select.POLLIN)
            return decode(Confinement, self._control.recv(LONGEST_WORD), b"")
        except (Late, Malformed, OSError) as error:
            hint = "its own words are on standard error"
            raise CannotRun("the zygote that makes provers did not start", where="prover", hint=hint) from error

    def close(self) -> None:
        self._closed = True
        self._control.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _question(request: BuildRequest) -> tuple[bytes, bytes]:
    """The request as it is sent. Raises InputRefused if it is larger than a prover reads."""
    document, body = encode(request)
    if len(body) > BOUNDS.body:
        what = f"objects of {len(body)} bytes, and a prover takes {BOUNDS.body}"
        raise InputRefused(what, where=request.object.source, hint="strip their debug sections (llvm-strip -g)")
    return document, body


def _kill(pidfd: int) -> None:
    """It is not needed any more. Another user's the zygote kills, as `fate` is closed."""
    with suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """What Python needs: nothing secret goes into the zygote."""
    return {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(PREFIXES)}
