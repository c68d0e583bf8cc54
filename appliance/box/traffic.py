"""The passages of a box while it runs: isolated, served, given up when an interface vanishes, taken up when it returns.

    there ──> held: its interfaces isolated ──> wired: all that are held, in one Datapath
      ^                                              │ an interface vanished, or is another one now
      └────────── looked for twice a second <────────┘

One passage's trouble is not another's: when a passage comes or goes, or an MTU grows beyond the rings' slots, those
rings alone are opened or closed, and what arrives in the few milliseconds of the change waits in the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from appliance.box.config import PassageConfig
from appliance.closeable import Closeable
from appliance.datapath.datapath import Datapath
from appliance.datapath.statistics import InterfaceStatistics
from appliance.datapath.wiring import Passage
from appliance.datapath.worker import NO_SERVICES, Progress, Run
from appliance.epochs import GRACE_SECONDS, GracePeriodExpired
from appliance.helpers.services import RuntimeServices
from appliance.memory import PRIVATE, Reserve
from hooks.errors import HookError
from hooks.interfaces.isolation_watch import IsolationState, IsolationWatch
from hooks.interfaces.netdev import Interface, find_interface, interface_state
from hooks.opener.opener import LOCAL, Opener


@dataclass
class _Held:
    """A passage whose interfaces are there, the inline ones isolated; closing `undo` ends that."""

    passage: Passage
    undo: ExitStack


class Traffic(Closeable):
    """The datapath of a box, whatever becomes of its interfaces. A context manager; closing twice is harmless.

    `log` is told what the operator should know. All of it is called from one thread, but for `statistics`, `up`,
    `isolation`, `progress` and `put_back`.
    """

    def __init__(
        self,
        passages: Sequence[PassageConfig],
        run: Run,
        *,
        workers: int,
        log: Callable[[str], None],
        services: RuntimeServices = NO_SERVICES,
        opener: Opener = LOCAL,
        reserve: Reserve = PRIVATE,
    ) -> None:
        """Have `opener` isolate the interfaces, and begin to serve. Raises HookError; everything is then as it was."""
        self._passages = tuple(passages)
        self._run = run
        self._workers = workers
        self._services = services
        self._opener = opener
        self._reserve = reserve
        self._log = log
        self._past: dict[str, InterfaceStatistics] = {name: InterfaceStatistics() for name in self.interfaces}
        self._held: dict[PassageConfig, _Held] = {}
        self._datapath: Datapath | None = None
        self._wired: dict[PassageConfig, Passage] = {}  # what it serves
        self._outgrown = False  # whether an MTU is more than the slots of its rings hold
        self.stuck = False  # whether there are workers that could not be ended
        self._announced: frozenset[PassageConfig] = frozenset()  # what the operator believes to be served
        self._complaints: dict[PassageConfig | None, str] = {}
        self._unequal: dict[PassageConfig, tuple[int, ...]] = {}  # MTUs that differ, as the operator was told
        inline = [name for passage in passages if passage.inside for name in passage.interfaces]
        self._isolation = IsolationWatch(inline, log, opener.close_again)
        self._counting = threading.Lock()  # so that what a closing datapath counted is seen once, and not twice
        try:
            for passage in self._passages:
                self._take(passage)
            self._wire()
        except BaseException:
            self.close()
            raise

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The names of all interfaces, in the order of the configuration."""
        return tuple(name for passage in self._passages for name in passage.interfaces)

    def _take(self, config: PassageConfig) -> None:
        """Isolate a passage's interfaces. Raises HookError; they are then as they were."""
        with ExitStack() as taking:
            if config.inside is None:
                passage = Passage(find_interface(config.outside))
            else:
                outside, inside = (taking.enter_context(self._opener.isolate(name)) for name in config.interfaces)
                passage = Passage(outside, inside)
            self._held[config] = _Held(passage, taking.pop_all())

    def _wire(self) -> None:
        """Serve what is held, and nothing else. Raises HookError; then what was served still is."""
        self._serve({config: self._held[config].passage for config in self._passages if config in self._held})
        self._outgrown = False
        for config, passage in self._wired.items():
            if config not in self._announced:
                self._log(f"{config}: serving")
            self._tell_of_mtus(config, passage)
        self._announced = frozenset(self._wired)

    def _serve(self, passages: dict[PassageConfig, Passage]) -> None:
        """Serve these, with the rings that are open already. Raises HookError, and changes nothing then."""
        wanted = list(passages.values())
        if not wanted:
            self._unwire()
        elif self._datapath is None:
            self._datapath = Datapath(
                wanted,
                self._run,
                workers=self._workers,
                services=self._services,
                opener=self._opener,
                reserve=self._reserve,
            )
        else:
            try:
                lost = self._datapath.rewire(wanted)
            except GracePeriodExpired:
                self.stuck = True
                raise
            if lost:
                self._log(f"{lost} frames that stood in rings which were closed are lost (`rings_closed`)")
        self._wired = passages

    def _follow_mtus(self, config: PassageConfig, held: _Held) -> None:
        """Tell of MTUs that changed, and let frames of that length leave; rings that have no room for them are to be
        opened anew."""
        passage = _resized(held.passage)
        if passage == held.passage:
            return
        fits = True
        for before, after in zip(held.passage.interfaces, passage.interfaces, strict=True):
            if before.mtu != after.mtu:
                self._log(f"{before.name}: its MTU is {after.mtu} bytes now, it was {before.mtu}")
                fits &= self._datapath is None or self._datapath.follow_mtu(after)
        held.passage = passage
        if not fits:
            self._outgrown = True
        elif config in self._wired:
            self._wired[config] = passage
        self._tell_of_mtus(config, passage)

    def _tell_of_mtus(self, config: PassageConfig, passage: Passage) -> None:
        """Say that the MTUs of a passage differ, or that they no longer do, once."""
        mtus = tuple(interface.mtu for interface in passage.interfaces)
        if len(set(mtus)) == 1:
            if self._unequal.pop(config, None):
                self._log(f"{config}: the MTUs are the same now, {mtus[0]} bytes")
        elif self._unequal.get(config) != mtus:
            each = ", ".join(f"{interface.name} {interface.mtu}" for interface in passage.interfaces)
            lost = f"untagged frames with more than {min(mtus)} bytes behind the Ethernet header are lost as `too_long`"
            self._log(f"{config}: the MTUs differ ({each}): {lost}; give both interfaces the same MTU")
            self._unequal[config] = mtus

    def swap(self, run: Run, timeout: float = GRACE_SECONDS, *, before: Callable[[], None] = lambda: None) -> None:
        """Go on with other code; returns when the old code is not used any more. See Datapath.swap for `before` and for
        what it raises."""
        self._run = run
        if self._datapath is not None:
            self._datapath.swap(run, timeout, before=before)
        else:
            before()

    def watch(self) -> None:
        """Notice interfaces that went, came or were opened to the host, and follow. Cheap; to be called every half
        second or so."""
        self._release_lost()
        for config, held in self._held.items():
            self._follow_mtus(config, held)
        taken = [config for config in self._passages if config not in self._held and self._try_to_take(config)]
        if taken or self._outgrown or (self._held and self._datapath is None):
            self._try_to_wire()
        inline = (held.passage for held in self._held.values() if held.passage.inside)
        self._isolation.look([interface for passage in inline for interface in passage.interfaces])

    def _release_lost(self) -> bool:
        """Give up the passages of which an interface is gone; whether there were any."""
        lost = [config for config, held in self._held.items() if not all(map(_is_there, held.passage.interfaces))]
        if any(config in self._wired for config in lost):
            self._serve({config: passage for config, passage in self._wired.items() if config not in lost})
        for config in lost:
            self._log(f"{config}: an interface is gone; waiting for it")
            self._release(config)
        return bool(lost)

    def _try_to_take(self, config: PassageConfig) -> bool:
        if not all(map(interface_state, config.interfaces)):
            return False
        try:
            self._take(config)
        except HookError as error:
            self._complain(config, str(error))
            return False
        self._complaints.pop(config, None)
        return True

    def _try_to_wire(self) -> None:
        try:
            self._wire()
        except HookError as error:
            if self._release_lost():  # gone since it was looked for; the others must not wait
                self._try_to_wire()
                return
            self._announced &= frozenset(self._wired)
            self._complain(None, str(error))
        else:
            self._complaints.pop(None, None)

    def _complain(self, config: PassageConfig | None, text: str) -> None:
        """Say what keeps a passage (None: all of them) from being served, once."""
        if self._complaints.get(config) != text:
            self._log(text)
        self._complaints[config] = text

    def _release(self, config: PassageConfig) -> None:
        """Put a passage's interfaces back, as far as they are there. What can't be put back must not end the others."""
        try:
            self._announced -= {config}
            self._held.pop(config).undo.close()
        except HookError as error:
            self._log(str(error))

    def statistics(self) -> dict[str, InterfaceStatistics]:
        """A snapshot by interface, over all the sockets that it has had."""
        with self._counting:
            now = self._datapath.statistics() if self._datapath is not None else {}
            return {name: past + now.get(name, InterfaceStatistics()) for name, past in self._past.items()}

    def up(self) -> dict[str, bool]:
        """Whether each interface is there, up, and has a carrier."""
        states = {name: interface_state(name) for name in self.interfaces}
        return {name: state is not None and state.up and state.carrier for name, state in states.items()}

    def isolation(self) -> Mapping[str, IsolationState]:
        """Whether each inline interface is closed to the host."""
        return self._isolation.states

    def progress(self) -> Sequence[Progress]:
        """How far each worker is; empty while nothing is served."""
        datapath = self._datapath
        return () if datapath is None else datapath.progress()

    def _unwire(self) -> None:
        """End the service; what it counted stays counted."""
        with self._counting:
            datapath, self._datapath = self._datapath, None
            if datapath is not None:
                self.stuck = True
                datapath.halt()
                self.stuck = False
                for name, last in datapath.statistics().items():
                    self._past[name] += last
        self._wired = {}
        if datapath is not None:
            datapath.close()

    def close(self) -> None:
        """End it and put every interface back as it was. Raises HookError if one can't be, after the others;
        GracePeriodExpired if a worker does not end, after all of them: what it uses is kept."""
        try:
            self._unwire()
        finally:
            self.put_back()

    def put_back(self) -> None:
        """Put every interface back as it was, whatever the workers do. Raises HookError, as `close` does."""
        held, self._held = self._held, {}
        with ExitStack() as undoing:
            for each in held.values():
                undoing.callback(each.undo.close)


def _is_there(interface: Interface) -> bool:
    """Whether the interface of that name is still this one."""
    state = interface_state(interface.name)
    return state is not None and state.index == interface.index


def _resized(passage: Passage) -> Passage:
    """The passage with the MTUs that its interfaces have now: slots, and what may leave, depend on them."""

    def with_mtu(interface: Interface) -> Interface:
        state = interface_state(interface.name)
        return interface if state is None or state.mtu == interface.mtu else replace(interface, mtu=state.mtu)

    return Passage(with_mtu(passage.outside), passage.inside and with_mtu(passage.inside))
