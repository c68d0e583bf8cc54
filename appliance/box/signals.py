"""What each signal does to a box. Its interfaces are closed to the host, so none that tools send by habit may end it
in the middle of a step.

    ENDING      end in order, status 0: people and service managers (SIGQUIT is Ctrl-\\, SIGABRT systemd's watchdog)
    SIGHUP      reload
    IGNORED     said once in the log, nothing else: what `kill` is told by mistake, timers, job control, real-time ones
    LEFT_ALONE  never asked for here: the kernel says that this process is wrong, or nothing happens anyway

Signals are blocked in the box's threads and taken in by the main one between two steps, so none disturbs what is in
the middle of something. SIGKILL can't be taken in; what it leaves, the next start puts right
(`hooks.interfaces.isolation`).

Source: signal(7).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from signal import Signals
from types import FrameType
from typing import Any

ENDING = frozenset({Signals.SIGTERM, Signals.SIGINT, Signals.SIGQUIT, Signals.SIGABRT})
RELOAD = Signals.SIGHUP
LEFT_ALONE = frozenset(
    {
        Signals.SIGKILL,
        Signals.SIGSTOP,
        # A fault of this process: to go on would be to repeat it.
        Signals.SIGSEGV,
        Signals.SIGBUS,
        Signals.SIGFPE,
        Signals.SIGILL,
        Signals.SIGSYS,
        Signals.SIGTRAP,
        # Harmless by default. SIGPIPE Python ignores; if it were taken in, a log that nobody reads would beget another.
        Signals.SIGPIPE,
        Signals.SIGCHLD,
        Signals.SIGCONT,
        Signals.SIGURG,
        Signals.SIGWINCH,
    }
)
IGNORED = frozenset(signal.valid_signals()) - ENDING - LEFT_ALONE - {RELOAD}
TAKEN_IN = ENDING | IGNORED | {RELOAD}


class SignalInbox:
    """The signals that were sent to this process, one at a time. A context manager, for the main thread alone; threads
    that begin inside of it have the same signals blocked.

    A library may have begun threads before (OpenBLAS does, when numpy is imported), and one of them is sent what comes
    while the main thread is busy. It would end the process; so there is a handler, which sends the signal on.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._mentioned: set[int] = set()
        self._handlers: dict[int, Any] = {}  # by signal, as signal.signal gives them

    def __enter__(self) -> SignalInbox:
        self._handlers = {number: signal.signal(number, _send_on) for number in TAKEN_IN}
        signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN_IN)
        return self

    def __exit__(self, *_: object) -> None:
        """Who asks again while the box ends has got what he asked for. After that, asking for the end ends at once, and
        the rest finds nothing that it could disturb."""
        while signal.sigtimedwait(TAKEN_IN, 0):
            pass
        for number, handler in self._handlers.items():
            ends_process = number not in ENDING and handler == signal.SIG_DFL
            signal.signal(number, signal.SIG_IGN if ends_process else handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    def wait(self, seconds: float) -> Signals | None:
        """The next signal that asks for something, SIGHUP or one of ENDING; None if there was none in that time.

        The kernel hands out SIGHUP before SIGTERM: who reloads all the time must still be able to end it.
        """
        arrived = signal.sigtimedwait(TAKEN_IN, seconds)
        if ending := ENDING & signal.sigpending():
            return Signals(min(ending))
        if arrived is None:
            return None
        if arrived.si_signo in IGNORED:
            self._mention(arrived)
            return None
        return Signals(arrived.si_signo)

    def _mention(self, arrived: signal.struct_siginfo) -> None:
        number = arrived.si_signo
        if number not in self._mentioned:
            self._mentioned.add(number)
            self._log(f"{_name(number)} means nothing to a box and is ignored (from process {arrived.si_pid})")


def _send_on(number: int, frame: FrameType | None) -> None:
    """Python calls it in the main thread, whichever the signal came to: there it waits to be taken in."""
    signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN_IN)
    signal.pthread_kill(threading.get_ident(), number)


def _name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
