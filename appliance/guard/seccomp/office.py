"""What serving a call takes: who judges, who counts, who waits in whose place."""

from __future__ import annotations

import time
from dataclasses import dataclass

from appliance.guard.addresses import SocketAddress
from appliance.guard.callers import Caller
from appliance.guard.hooks import Call
from appliance.guard.judge import Judge, Judgement
from appliance.guard.seccomp.unbinding import Bindings
from appliance.guard.seccomp.waiting import Waiting
from appliance.guard.statistics import Denial, Ledger, Outcome
from hooks.seccomp.listener import Listener
from hooks.seccomp.sockets import Duplicate
from hooks.seccomp.threads import Threads


@dataclass(frozen=True, slots=True)
class Office:
    """Of one listener. `bindings` are there if a program wants to know of addresses that are given back."""

    listener: Listener
    judge: Judge
    ledger: Ledger
    threads: Threads
    waiting: Waiting
    bindings: Bindings | None

    def judged(self, call: Call, caller: Caller, socket: Duplicate, address: SocketAddress) -> Judgement:
        """What the programs say, counted, and told of if they deny."""
        judgement = self.judge.judge(call, caller, socket, address)
        if judgement.errno:
            who, program = caller.program, judgement.program or ""
            self.ledger.deny(Denial(time.time(), call, caller.process, who, str(address), program, judgement.errno))
        else:
            moved = judgement.address is not address
            self.ledger.count(call, Outcome.REDIRECTED if moved else Outcome.PERMITTED)
        return judgement
