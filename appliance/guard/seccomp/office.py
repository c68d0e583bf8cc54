"""What serving a call takes: who judges, who counts, who waits in whose place."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.guard.addresses import SocketAddress
from appliance.guard.callers import Caller
from appliance.guard.hooks import Call
from appliance.guard.judge import Judge, Judgement
from appliance.guard.seccomp.request import Instead, Request, Result
from appliance.guard.seccomp.unbinding import Bindings
from appliance.guard.seccomp.waiting import Job, Waiting
from appliance.guard.statistics import Denial, Ledger, Outcome
from hooks.seccomp.listener import Listener, Notification
from hooks.seccomp.sockets import Duplicate
from hooks.seccomp.standby import Standby
from hooks.seccomp.threads import Threads, is_alone


@dataclass(frozen=True, slots=True)
class Office:
    """Of one listener. `bindings` are there if a program wants to know of addresses that are given back, `standby` if
    everything is to go on when this process dies."""

    listener: Listener
    judge: Judge
    ledger: Ledger
    threads: Threads
    waiting: Waiting
    bindings: Bindings | None
    standby: Standby | None = None
    strict: bool = False

    def receive(self) -> Notification | None:
        """The next call that waits; each is answered once, or left."""
        notification = self.listener.receive()
        if notification is not None and self.standby is not None:
            self.standby.enter(notification)
        return notification

    def answer(self, notification: Notification, result: Result) -> None:
        """Let the call end, or go on, or say later."""
        if isinstance(result, int):
            self.listener.answer(notification, result)
        elif result is Instead.CONTINUE:
            self.listener.continue_(notification)
        if result is not Instead.LATER and self.standby is not None:
            self.standby.leave(notification)

    def deny(self, call: Call, caller: Caller, about: object, program: str, code: int) -> int:
        """Count a denial and tell of it; the errno, negative."""
        self.ledger.deny(Denial(time.time(), call, caller.process, caller.program, str(about), program, code))
        return -code

    def later(self, request: Request, perform: Callable[[], int]) -> Result:
        """Perform and answer in another thread, which has the socket until then."""

        def finish(result: int) -> None:
            request.socket.close()
            self.answer(request.notification, result)

        self.waiting.hand_in(Job(request.notification, perform, finish))
        return Instead.LATER

    def let_go_on(self, request: Request) -> Result:
        """About another socket than one of the internet: the kernel makes the call, with what it finds by then.

        A second thread might exchange the descriptor in between. TCP's are closed to that by Landlock, where it is
        there; strictly, no call goes on of a process that has such a thread."""
        if self.strict and not is_alone(request.caller.thread):
            return -errno.EPERM
        return Instead.CONTINUE

    def judged(self, call: Call, caller: Caller, socket: Duplicate, address: SocketAddress) -> Judgement:
        """What the programs say, counted, and told of if they deny."""
        judgement = self.judge.judge(call, caller, socket, address)
        if judgement.errno:
            self.deny(call, caller, address, judgement.program or "", judgement.errno)
        else:
            moved = judgement.address is not address
            self.ledger.count(call, Outcome.REDIRECTED if moved else Outcome.PERMITTED)
        return judgement
