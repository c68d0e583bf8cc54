"""The engine in this process: it starts commands under a filter, and serves what waits.

main thread         waits for the command, and for those that lose their parent
guard-supervisor    receives, judges, performs, answers
guard-unbinding     waits for sockets that end, where a program wants to know
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from appliance.api import Loaded
from appliance.closeable import Closeable
from appliance.guard.hooks import Call
from appliance.guard.judge import Judge
from appliance.guard.programs import programs_of
from appliance.guard.seccomp.office import Office
from appliance.guard.seccomp.supervisor import Supervisor
from appliance.guard.seccomp.unbinding import Bindings
from appliance.guard.seccomp.waiting import Waiting
from appliance.guard.seccomp.watched import closed_network, watches
from appliance.guard.statistics import Denial, GuardStatistics, Ledger
from hooks.process import adopt_orphans
from hooks.seccomp.filter import build_filter
from hooks.seccomp.landlock import knows_of_networks
from hooks.seccomp.launch import Launched, launch
from hooks.seccomp.threads import Threads


class SeccompGuarded(Closeable):
    """A command and all that it starts, under the hooks (`appliance.guard.engine.Guarded`). Made by
    `SeccompEngine.start`; a context manager; closing twice is harmless. Any thread may ask; one waits."""

    def __init__(self, launched: Launched, judge: Judge, ledger: Ledger) -> None:
        self.process = launched.process
        self._listener = launched.listener
        self._ledger = ledger
        with ExitStack() as held:
            held.callback(self._listener.close)
            bindings = held.enter_context(Bindings(judge)) if judge.told_of_unbinding else None
            waiting = held.enter_context(Waiting(self._listener))
            threads = Threads()
            held.callback(threads.close)
            supervisor = Supervisor(Office(self._listener, judge, ledger, threads, waiting, bindings))
            self._thread = threading.Thread(target=supervisor.run, name="guard-supervisor", daemon=True)
            self._thread.start()
            held.callback(self._stop)
            self._held = held.pop_all()

    def wait(self) -> int:
        """See `Guarded.wait`."""
        status = 0
        while True:
            try:
                ended, how = os.waitpid(-1, 0)
            except ChildProcessError:
                return status
            if ended == self.process:
                code = os.waitstatus_to_exitcode(how)
                status = code if code >= 0 else 128 - code

    def statistics(self) -> GuardStatistics:
        """A snapshot."""
        return self._ledger.statistics()

    def close(self) -> None:
        """Stop serving: what is watched still, and calls, gets ENOSYS from now on."""
        self._held.close()

    def _stop(self) -> None:
        self._listener.wake_up()
        self._thread.join()


class SeccompEngine:
    """Programs of a loaded object, asked by this process (`appliance.guard.engine.Engine`). The object stays open as
    long as anything runs under it. For one thread."""

    def __init__(
        self, loaded: Loaded, names: Sequence[str], *, tell: Callable[[Denial], object] = lambda denial: None
    ) -> None:
        """`names` are the programs to ask; `tell` gets each denial, in the thread that serves."""
        self._judge = Judge(programs_of(loaded, names))
        self._tell = tell

    def start(self, command: Sequence[str]) -> SeccompGuarded:
        """See `Engine.start`. To be called while there is one thread."""
        calls = [call for call in Call if self._judge.asks(call)]
        adopt_orphans()
        closed = closed_network(calls) if knows_of_networks() else 0
        launched = launch(command, build_filter(watches(calls)), closed_network=closed)
        return SeccompGuarded(launched, self._judge, Ledger(self._tell))
