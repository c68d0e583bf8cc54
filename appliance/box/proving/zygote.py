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
import os
import select
import signal
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from appliance.box.proving import fate
from appliance.box.proving.child import Work, live
from appliance.box.proving.confinement import Jail
from appliance.box.proving.environment import versions
from appliance.box.proving.records import encode
from appliance.ir import initialise
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
