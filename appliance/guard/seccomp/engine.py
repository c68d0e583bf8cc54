"""The engine in this process: it starts commands under a filter, and serves what waits.

main thread         waits for the command, and for those that lose their parent
guard-supervisor    receives, judges, performs, answers
guard-waiting-N     make connections of sockets that wait; guard-watch breaks off what is over
guard-denials       tells of denials
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import Enum

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
from appliance.guard.telling import Teller
from hooks.process import adopt_orphans, wait_for_all
from hooks.seccomp.filter import SHARED_FILES, WALKS_PAST, build_filter
from hooks.seccomp.landlock import knows_of_networks
from hooks.seccomp.launch import Launched, launch
from hooks.seccomp.standby import Standby
from hooks.seccomp.threads import Threads


class OnFailure(Enum):
    """What calls get if the process that serves dies: ENOSYS, or no judge."""

    CLOSED = "closed"
    OPEN = "open"


class SeccompGuarded(Closeable):
    """A command and all that it starts, under the hooks (`appliance.guard.engine.Guarded`). Made by
    `SeccompEngine.start`; a context manager; closing twice is harmless. Any thread may ask; one waits."""

    def __init__(
        self,
        launched: Launched,
        judge: Judge,
        tell: Callable[[Denial], object],
        *,
        on_failure: OnFailure,
        strict: bool,
    ) -> None:
        self.process = launched.process
        self._listener = launched.listener
        with ExitStack() as held:
            self._ledger = ledger = Ledger(held.enter_context(Teller(tell)))
            held.callback(self._listener.close)
            self._standby = held.enter_context(Standby(self._listener)) if on_failure is OnFailure.OPEN else None
            _allow_descriptors()
            bindings = held.enter_context(Bindings(judge)) if judge.told_of_unbinding else None
            waiting = held.enter_context(Waiting(self._listener))
            threads = Threads()
            held.callback(threads.close)
            office = Office(self._listener, judge, ledger, threads, waiting, bindings, self._standby, strict)
            self._supervisor = Supervisor(office)
            thread = threading.Thread(target=self._serve, name="guard-supervisor", daemon=True)
            thread.start()
            held.callback(self._supervisor.close)
            held.callback(thread.join)
            held.callback(self._supervisor.stop)
            self._held = held.pop_all()

    def _serve(self) -> None:
        self._supervisor.run()
        if self._standby is not None:  # else it would be the last child that `wait` waits for
            self._standby.close()

    def wait(self) -> int:
        """See `Guarded.wait`."""
        return wait_for_all(self.process)

    def statistics(self) -> GuardStatistics:
        """A snapshot."""
        return self._ledger.statistics()

    def close(self) -> None:
        """Stop serving: what is watched still, and calls, gets ENOSYS from now on."""
        self._held.close()


def _allow_descriptors() -> None:
    """As many as this process may have: threads and sockets of those who wait are held by descriptors."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class SeccompEngine:
    """Programs of a loaded object, asked by this process (`appliance.guard.engine.Engine`). The object stays open as
    long as anything runs under it. For one thread."""

    def __init__(
        self,
        loaded: Loaded,
        names: Sequence[str],
        *,
        on_failure: OnFailure = OnFailure.CLOSED,
        strict: bool = False,
        judge: Judge | None = None,
    ) -> None:
        """`names` are the programs to ask, `judge` who asks them if it isn't to be a plain Judge. `strict`: calls about
        other sockets than those of the internet are refused to processes with several threads (`Office.let_go_on`)."""
        self._on_failure = on_failure
        self._strict = strict
        self._judge = judge or Judge(programs_of(loaded, names))

    def start(
        self, command: Sequence[str], *, tell: Callable[[Denial], object] = lambda denial: None
    ) -> SeccompGuarded:
        """See `Engine.start`. To be called while there is one thread."""
        calls = [call for call in Call if self._judge.asks(call)]
        adopt_orphans()
        # What Landlock refuses would not be open when nobody serves any more.
        locks = self._on_failure is OnFailure.CLOSED and knows_of_networks()
        refusals = (*WALKS_PAST, *(SHARED_FILES if self._strict else ()))
        launched = launch(
            command, build_filter(watches(calls), refusals), closed_network=closed_network(calls) if locks else 0
        )
        return SeccompGuarded(launched, self._judge, tell, on_failure=self._on_failure, strict=self._strict)
