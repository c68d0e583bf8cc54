"""Starting the processes of a box, in the order in which each still has what it needs and nothing more.

    provers ─ arena ─ datapaths ─ the document ─ keeper ─ trust ─ opener ─ give up the capabilities

The order is what keeps them apart: who is forked early has seen nothing that comes later.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from appliance.box.approval.approvals import Approvals
from appliance.box.approval.configured import open_store, renew_trust, start_keeper, trust_of
from appliance.box.approval.tables import Tables
from appliance.box.config import BoxConfig
from appliance.box.processes.confinement import confine_zygote, seal
from appliance.box.processes.handed import images_of
from appliance.box.processes.loader import LoaderApart
from appliance.box.processes.terms import terms_of, trust_by
from appliance.box.proving.prover import Prover
from appliance.closeable import Closeable
from appliance.datapath.hosts.zygote import Zygote
from appliance.epochs import default_domain
from appliance.errors import CannotRun
from appliance.memory import Arena, Plain
from hooks.opener.start import start_opener
from hooks.sandbox.capabilities import drop_privileges


class OpenerEnded(CannotRun):
    """The process that opens and isolates is gone, and the box is to end."""


class Unread(Closeable):
    """What is forked before the document is read: it has nothing of it. Made by the only thread of a process."""

    def __init__(self, log: Callable[[str], None]) -> None:
        """Raises CannotRun, or OSError if the machine has no addresses or processes left."""
        gc.collect()
        gc.freeze()  # what children share with this process stays shared: no collection writes to it
        with ExitStack() as started:
            self.prover = started.enter_context(Prover.fork(log))
            self.arena = Arena()
            default_domain.announce_at(self.arena.take(Plain(8)).address)
            Tables.here()  # what approvals are held against: worked out once, for all
            self.zygote = Zygote(self.arena, lambda words: images_of(trust_by(words)), seal, confine_zygote)
            started.callback(self.zygote.close)
            self._started = started.pop_all()

    def close(self) -> None:
        self._started.close()


class Processes(Closeable):
    """Those of one box. Made by the only thread of a process, which has given up its capabilities then. Closing twice
    is harmless; whatever was isolated is put back by then, or by the end of this process, however it ends."""

    def __init__(self, config: BoxConfig, unread: Unread, log: Callable[[str], None]) -> None:
        """`unread` are those that were forked before, and the caller's. Raises InputRefused, CannotRun or HookError;
        none of the others is left then."""
        self.arena, self.zygote = unread.arena, unread.zygote
        with ExitStack() as started:
            self._keeper = keeper = start_keeper(config.trust, log)
            if keeper is not None:
                started.callback(keeper.close)
            self.trust = trust_of(config.trust, keeper, log)
            self.zygote.begin(terms_of(self.trust))
            self._store = open_store(config.trust, log)
            if self._store is not None:
                started.callback(self._store.close)
            inline = [name for passage in config.passages if passage.inside for name in passage.interfaces]
            every = [name for passage in config.passages for name in passage.interfaces]
            self.opener = start_opener(every, inline, workers=config.workers)
            started.callback(self.opener.end)
            drop_privileges()
            self.approvals = Approvals(self.trust, unread.prover.build, keeper=keeper, store=self._store, log=log)
            self.loader = LoaderApart(self.approvals, self.zygote)
            self._started = started.pop_all()

    def renew_trust(self, config: BoxConfig) -> None:
        """Read anew which keys count and what was revoked, for what is approved from now on. Raises InputRefused; all
        is then as it was. The datapath's processes go by what they were born with: here is where more is refused."""
        renew_trust(self.trust, config.trust, self._keeper)

    def check(self) -> None:
        """Raises OpenerEnded if it has: nothing keeps the interfaces closed to the host any more."""
        if self.opener.process.poll() is not None:
            raise OpenerEnded("the opener has ended", hint="start the box again: it puts the interfaces back first")

    def remembered(self) -> Mapping[str, int]:
        """How often code was looked for on disk, by what was found. Any thread."""
        return {} if self._store is None else self._store.counts()

    def close(self) -> None:
        self._started.close()
