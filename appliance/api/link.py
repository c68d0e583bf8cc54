"""A program at work on interfaces, until it is detached.

The packet loop is compiled here, with the program inside it, over the maps of the object that the program belongs to:
objects that are only tested don't wait for it.

Two interfaces that frames cross between are closed to the host, and looked after as a box looks after its own: a filter
that somebody puts in front is overtaken within a second, and told to the logger `appliance.api`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from appliance.datapath.datapath import Datapath
from appliance.datapath.loop import PacketLoops
from appliance.datapath.pass_all import PASS_ALL, pass_all
from appliance.datapath.routing_feed import RoutingFeed, ask_for_routes
from appliance.datapath.statistics import InterfaceStatistics
from appliance.datapath.wiring import Passage
from appliance.datapath.worker import Run
from appliance.ebpf.spec import CollectionSpec
from appliance.helpers.routing.tables import RoutingTables
from appliance.helpers.services import RuntimeServices
from appliance.helpers.syncookie_secrets import SyncookieSecrets
from appliance.jit.collection import Collection
from appliance.maps.control.map import Map
from hooks.interfaces.isolation import Isolation
from hooks.interfaces.isolation_watch import IsolationFollower, IsolationState
from hooks.interfaces.netdev import find_interface

_LOGGER = logging.getLogger("appliance.api")


class Link:
    """Made by `LoadedProgram.attach`. A context manager; detaching twice is harmless, from whichever threads."""

    def __init__(
        self,
        spec: CollectionSpec,
        maps: Mapping[str, Map],
        inward: str,
        outward: str | None,
        outside: str,
        inside: str | None,
        workers: int,
    ) -> None:
        """Compile, isolate the interfaces if there are two, and begin to serve. Raises HookError, all undone."""
        self._ending = threading.Lock()
        hook = spec.programs[inward].hook
        programs = {**spec.programs, PASS_ALL: pass_all(hook)}
        outward = outward or PASS_ALL
        with ExitStack() as opened:
            collection = Collection.load(
                replace(spec, programs=programs),
                programs={inward, outward},
                processors=workers,
                reuse=maps,
                loops=PacketLoops(hook, inward, outward),
            )
            opened.callback(collection.close, keep=maps.values())
            passage = _prepare(opened, outside, inside)
            tables = opened.enter_context(RoutingTables())
            if ask_for_routes(collection.programs.values()):
                opened.enter_context(RoutingFeed(tables))
            services = RuntimeServices(tables, SyncookieSecrets())
            datapath = Datapath([passage], Run.of(collection.engine), workers=workers, services=services)
            self._datapath = opened.enter_context(datapath)
            held = passage.interfaces if inside is not None else ()
            self._isolation = opened.enter_context(IsolationFollower(held, _LOGGER.warning))
            self._held = opened.pop_all()
        self.attached = True

    def statistics(self) -> dict[str, InterfaceStatistics]:
        """A snapshot by interface name: frames received, their verdicts, what was sent, what was lost and why. Once
        detached, the last one."""
        return self._datapath.statistics() if self.attached else self._last

    def isolation(self) -> Mapping[str, IsolationState]:
        """Whether each of two interfaces is closed to the host, and how often it was found open and closed again. Empty
        for an interface that is only listened to."""
        return self._isolation.states

    def detach(self) -> None:
        """End it and put every interface back as it was.

        Raises GracePeriodExpired if a worker does not end: the interfaces are put back, and what it uses is kept.
        """
        with self._ending:
            if self.attached:
                try:
                    self._datapath.halt()
                finally:
                    self._last = self._datapath.statistics()
                    self.attached = False
                    self._held.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()


def _prepare(opened: ExitStack, outside: str, inside: str | None) -> Passage:
    if inside is None:
        return Passage(find_interface(outside))
    first, second = (opened.enter_context(Isolation(name)) for name in (outside, inside))
    return Passage(first, second)
