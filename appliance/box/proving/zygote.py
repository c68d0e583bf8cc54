"""The zygote: a process that has all imported and holds nothing, and forks a prover for each request.

    asker                                zygote                                   prover
      │ ──(limits, conversation, fate)────> │ ──────────fork───────────────────────> │
      │ <──────────────(pidfd)───────────── │   closes its ends of both              │ reads, proves, compiles
      │ <────────────────────────────────(request, answer)─────────────────────────> │
      │ <──────(status, last words)──────── │ <───────────(ends)──────────────────── ┘

It parses nothing but limits of its own kind, and of what a prover writes it passes on the last words alone. It has no
second thread, as its children are forks of it. When its asker is gone, it ends, and its provers with it.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from appliance.box.proving import fate
from appliance.box.proving.child import Work, live
from appliance.box.proving.confinement import Jail
from appliance.box.proving.environment import versions
from appliance.box.proving.records import encode
from appliance.ir import initialise
from hooks.process import forget_signals, name_process
from hooks.running_kernel import KeptKernel

LIMITS = struct.Struct("<QQ")  # bytes of memory, seconds of a processor
LONGEST_WORD = 4096  # bytes of what it says of its confinement


@dataclass(slots=True)
class _Prover:
    """One that lives: its process, and who wants to know what becomes of it."""

    pid: int
    pidfd: int
    fate: socket.socket
    words: int

    def close(self) -> None:
        os.close(self.pidfd)
        os.close(self.words)
        self.fate.close()


def become_zygote(control: socket.socket, work: str) -> NoReturn:
    """Be one until the asker at the other end is gone, and end. `work` is `module:function`. Called by the only thread
    of its process, of which nothing but standard error is kept."""
    status = 1
    try:
        name_process("tg-provers")
        forget_signals()
        with suppress(PermissionError):  # it leads a session already
            os.setsid()
        control = _alone_with(control)
        module, _, function = work.partition(":")
        with suppress(ConnectionError):  # the asker was gone before this was ready
            Zygote(control, getattr(importlib.import_module(module), function)).serve()
        status = 0
    except BaseException as error:
        sys.stderr.write(f"tidegate: provers: {type(error).__name__}: {error}\n")
    finally:
        sys.stderr.flush()
        os._exit(status)


def _alone_with(control: socket.socket) -> socket.socket:
    """Close every other descriptor; nothing can be read from standard input, or written to standard output."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nothing, standard)
    kept = os.dup(control.detach())
    os.closerange(3, kept)
    os.closerange(kept + 1, 1 << 20)
    return socket.socket(fileno=kept)


class Zygote:
    """Forks until its asker is gone. For one thread, the only one of its process."""

    def __init__(self, control: socket.socket, work: Work) -> None:
        """Confine this process, for good, and say to the asker how far. Raises HookError, OSError."""
        self._control = control
        self._work = work
        self._kernel = KeptKernel()
        initialise()
        versions()
        self._jail = Jail()
        document, _ = encode(self._jail.confinement)
        control.send(document)
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._events: dict[int, Callable[[], None]] = {}

    def serve(self) -> None:
        """Until the asker is gone."""
        gc.collect()
        gc.freeze()  # what the children share stays shared: no collection writes to it
        asked = True
        while asked:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._control.fileno():
                    asked = self._fork()
                elif descriptor in self._events:
                    self._events[descriptor]()

    def _fork(self) -> bool:
        """One prover more; False if nobody is there to ask for one."""
        message, descriptors, _, _ = socket.recv_fds(self._control, LIMITS.size, 2)
        if len(message) != LIMITS.size or len(descriptors) != 2:
            return False
        conversation, told = descriptors
        memory, seconds = LIMITS.unpack(message)
        words = os.memfd_create("last words")
        pid = os.fork()
        if pid == 0:
            live(self._work, conversation, words, lambda: self._jail.confine(memory, seconds), self._kernel)
        os.close(conversation)
        prover = _Prover(pid, os.pidfd_open(pid), socket.socket(fileno=told), words)
        self._watch(prover)
        try:
            fate.tell_begun(prover.fate, prover.pidfd)
        except OSError:
            self._kill(prover)
        return True

    def _watch(self, prover: _Prover) -> None:
        """A pidfd is readable once its process has ended, and `fate` once nobody wants to know any more."""
        self._events[prover.pidfd] = lambda: self._end(prover)
        self._events[prover.fate.fileno()] = lambda: self._kill(prover)
        self._poll.register(prover.pidfd, select.POLLIN)
        self._poll.register(prover.fate, select.POLLIN)

    def _kill(self, prover: _Prover) -> None:
        self._poll.unregister(prover.fate)
        del self._events[prover.fate.fileno()]
        signal.pidfd_send_signal(prover.pidfd, signal.SIGKILL)

    def _end(self, prover: _Prover) -> None:
        _, status = os.waitpid(prover.pid, 0)
        self._poll.unregister(prover.pidfd)
        del self._events[prover.pidfd]
        if self._events.pop(prover.fate.fileno(), None) is not None:
            self._poll.unregister(prover.fate)
        size = os.fstat(prover.words).st_size
        last = os.pread(prover.words, fate.WORDS, max(0, size - fate.WORDS))
        try:
            fate.tell_ended(prover.fate, status, last)
        except OSError:
            pass  # nobody wants to know
        finally:
            prover.close()
