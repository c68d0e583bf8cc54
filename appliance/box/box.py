"""A box from its start to its end.

    read ── verify, compile ── listen for Prometheus ── isolate interfaces ── forward ── … ── restore
                                                                                 │
                                                          SIGHUP: the same up to compile, then swap

What can be refused is refused before an interface is touched; what was touched is put back, whatever happens.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from appliance import __version__
from appliance.box.config import BoxConfig, load_box_config
from appliance.box.exits import index_of_exit
from appliance.box.filter_spec import FilterSpec
from appliance.box.generation import Generation
from appliance.box.processes.processes import Processes, Unread
from appliance.box.sd_notify import notify
from appliance.box.signals import ENDING, RELOAD, SignalInbox
from appliance.box.supervisor import Condition, Supervisor
from appliance.box.totals import Totals
from appliance.box.traffic import Traffic
from appliance.datapath.routing_feed import RoutingFeed
from appliance.epochs import GRACE_SECONDS
from appliance.errors import CannotRun, InputRefused, TidegateError
from appliance.helpers.routing.tables import RoutingTables
from appliance.helpers.services import RuntimeServices
from appliance.helpers.syncookie_secrets import SyncookieSecrets
from appliance.helpers.syncookies import PERIOD
from appliance.maps.control.packed import Replaced
from appliance.metrics import BoxCollector, MapUse, MetricsServer, RuleCount, Snapshot, WorkerUse
from appliance.rules.sets.running import RunningSet

WATCH_SECONDS = 0.5

# Field of the configuration → its key in the document.
_KEPT_BY_A_RELOAD = {
    "passages": "interfaces",
    "workers": "workers",
    "metrics_address": "metrics.listen",
    "metrics_port": "metrics.listen",
    "trust": "trust",
}


class Box:
    """One box. `run` is its whole life; everything else is for the metrics server's threads."""

    def __init__(self, path: Path, log: Callable[[str], None]) -> None:
        self._path = path
        self._log = log
        self._lock = threading.Lock()  # held while a generation is exchanged or read
        self._totals = Totals()
        self._reloads = {"success": 0, "failure": 0}
        self._loaded_at = 0.0
        self._generation: Generation | None = None
        self._traffic: Traffic | None = None
        self._supervisor: Supervisor | None = None
        self._complaint = ""
        self._fed = False

    def run(self) -> None:
        """Serve until SIGTERM or another of ENDING; SIGHUP reloads. Raises InputRefused, CannotRun or HookError at the
        start."""
        with SignalInbox(self._log) as signals, ExitStack() as running:
            self._start(running)
            self._serve(signals)

    def _start(self, running: ExitStack) -> None:
        unread = running.enter_context(Unread(self._log))
        config = load_box_config(self._path)
        self._config = config
        self._processes = running.enter_context(Processes(config, unread, self._log))
        self._generation = Generation.load(FilterSpec.of(config), config.workers, loader=self._processes.loader)
        self._generation.point(index_of_exit)
        running.callback(self._end_generation)
        self._loaded_at = time.time()
        server = MetricsServer(config.metrics_address, config.metrics_port, BoxCollector(self.snapshot))
        running.enter_context(server)
        self._routing = running.enter_context(RoutingTables(self._processes.arena))
        self._secrets = SyncookieSecrets(reserve=self._processes.arena)
        self._feeding = running.enter_context(ExitStack())
        self._feed_routes(self._generation)
        running.callback(self._end_hard_if_stuck)
        self._traffic = running.enter_context(
            Traffic(
                config.passages,
                self._generation.run,
                workers=config.workers,
                log=self._log,
                services=RuntimeServices(self._routing, self._secrets),
                opener=self._processes.opener,
                reserve=self._processes.arena,
            )
        )
        self._supervisor = running.enter_context(
            Supervisor(
                config.workers,
                self._traffic.progress,
                exits=lambda: self._config.exits_on_failure,
                log=self._log,
                last_resort=self._end_hard,
            )
        )
        self._log(f"{self._described(config)}; metrics on {_endpoint(config.metrics_address, server.port)}")
        notify("READY=1", f"STATUS={self._described(config)}")

    def _feed_routes(self, generation: Generation) -> None:
        """Follow the kernel's routes from the first generation on that asks for them."""
        if not self._fed and generation.asks_for_routes:
            self._feeding.enter_context(RoutingFeed(self._routing, self._log))
            self._fed = True

    def _described(self, config: BoxConfig) -> str:
        if config.rules is None:
            assert config.program is not None
            return f"{config.program.path} loaded"
        return f"{len(config.rules.rules)} rules loaded"

    def _serve(self, signals: SignalInbox) -> None:
        assert self._traffic is not None
        assert self._supervisor is not None
        while (asked := signals.wait(WATCH_SECONDS)) not in ENDING:
            if asked is RELOAD:
                self._reload()
            self._watch(self._traffic)
            self._secrets.rotate(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // PERIOD)
            self._supervisor.check()
            if self._config.exits_on_failure:
                self._processes.check()
        notify("STOPPING=1")

    def _watch(self, traffic: Traffic) -> None:
        """Look after the passages. Whatever goes wrong in looking (no memory, say), the box goes on and says so; unless
        workers could not be ended, for then nothing is served any more."""
        try:
            traffic.watch()
            if self._generation is not None:
                self._generation.point(index_of_exit)
            complaint = ""
        except Exception as error:
            if traffic.stuck:
                raise
            complaint = f"the interfaces can't be looked after now: {_told(error)}"
        if complaint and complaint != self._complaint:
            self._log(complaint)
        self._complaint = complaint

    def _reload(self) -> None:
        """Load the configuration anew; if it is refused, say why and go on with the one that runs.

        Whatever goes wrong, a running filter is worth more than a new one.
        """
        notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            config = self._in_the_same_rooms(load_box_config(self._path))
            self._refuse_other_wiring(config)
            self._processes.renew_trust(config)
            changed = self._follow(config)
        except Exception as error:
            self._reloads["failure"] += 1
            self._log(f"reload refused, the running rules stay: {_told(error)}")
            notify("READY=1")
            return
        assert self._generation is not None
        try:
            self._feed_routes(self._generation)
        except TidegateError as error:
            self._log(f"programs find no routes: {error}")
        self._config = config
        self._reloads["success"] += 1
        self._loaded_at = time.time()
        self._log(f"reloaded: {self._described(config)}{changed}")
        notify("READY=1", f"STATUS={self._described(config)}")

    def _in_the_same_rooms(self, config: BoxConfig) -> BoxConfig:
        """With live sets that keep the size of their maps, wherever they still fit."""
        if config.rules is None or self._config.rules is None:
            return config
        return replace(config, rules=config.rules.in_rooms_of(self._config.rules))

    def _follow(self, config: BoxConfig) -> str:
        """Go on by that configuration; what became of live sets, in words. Where the rules are the same nothing is
        compiled, and nothing exchanged but elements of sets."""
        assert self._generation is not None
        if config.rules is not None and config.rules.sets and config.rules == self._config.rules:
            return _described(self._generation.refill(config.rules.sets))
        loader = self._processes.loader
        successor = Generation.load(FilterSpec.of(config), config.workers, self._generation, loader=loader)
        successor.point(index_of_exit)
        self._exchange(successor)
        try:
            return _described(self._generation.refill(config.rules.sets if config.rules else {}))
        except Exception as error:
            self._log(f"the new rules run with the sets as they were: {_told(error)}")
            return ""

    @property
    def sets(self) -> Mapping[str, RunningSet]:
        """The live sets that the running rules use, by name, for any thread. A reload makes them what the documents
        say."""
        generation = self._generation
        return {} if generation is None else generation.sets

    def _refuse_other_wiring(self, config: BoxConfig) -> None:
        """A reload changes what is judged and how; sockets and threads stay."""
        for key, name in _KEPT_BY_A_RELOAD.items():
            if getattr(config, key) != getattr(self._config, key):
                raise InputRefused(
                    f"a reload can't change `{name}`", where=str(self._path), hint="restart the box for that"
                )

    def _exchange(self, successor: Generation) -> None:
        """Let the successor judge. Raises what kept it from that; its predecessor judges on then.

        Once the code is swapped there is no way back: what goes wrong with putting the old one away is only said.
        """
        assert self._generation is not None
        assert self._traffic is not None
        predecessor = self._generation
        end = time.monotonic() + GRACE_SECONDS  # of all waiting, back and forth: nobody reads metrics meanwhile
        with self._lock:
            try:
                self._traffic.swap(successor.run, end - time.monotonic(), before=successor.collection.take_over)
            except Exception:
                self._roll_back(predecessor, successor, end)
                raise
            self._generation = successor
            try:
                self._totals.keep(predecessor)
                predecessor.close(successor)
            except Exception as error:
                self._log(f"the rules before this reload can't be put away: {_told(error)}")

    def _roll_back(self, predecessor: Generation, successor: Generation, end: float) -> None:
        """Let the predecessor judge again; the successor's code is freed only if no worker can be in it any more, which
        is waited for until `end` at most (CLOCK_MONOTONIC): a worker that hung on the way there still hangs."""
        assert self._traffic is not None
        try:
            left = max(0.0, end - time.monotonic())
            self._traffic.swap(predecessor.run, left, before=predecessor.collection.take_over)
            successor.close(predecessor)
        except Exception as error:
            self._log(f"the rules that failed can't be put away: {_told(error)}")

    def _end_hard_if_stuck(self) -> None:
        """Called when the interfaces are back. A native thread that does not return would go on in code and memory that
        are taken down behind it."""
        if self._traffic is not None and self._traffic.stuck:
            self._end_hard()

    def _end_hard(self) -> None:
        """Put the interfaces back, unless they are, and be gone, native threads and all. From the main thread when a
        worker does not end, or from the supervisor when the main thread does not."""
        self._log("a worker can't be ended: the interfaces are as before, and the process ends hard")
        try:
            self._processes.zygote.close()
            if self._traffic is not None:
                self._traffic.put_back()
        except TidegateError as error:
            self._log(str(error))
        finally:
            os._exit(CannotRun.exit_status)

    def _end_generation(self) -> None:
        with self._lock:
            generation, self._generation = self._generation, None
        if generation is not None:
            generation.close()

    def _workers(self) -> dict[str, WorkerUse]:
        if self._supervisor is None:
            return {}
        return {
            name: WorkerUse(health.condition is Condition.ALIVE, health.last_progress)
            for name, health in self._supervisor.health.items()
        }

    def snapshot(self) -> Snapshot:
        """What is exported, now. From any thread."""
        with self._lock:
            generation, traffic = self._generation, self._traffic
            if generation is None:
                return Snapshot(__version__)
            rules = generation.filter_spec.rules
            counts = self._totals.rules(generation)
            isolation = traffic.isolation() if traffic else {}
            return Snapshot(
                version=__version__,
                rules=tuple(
                    RuleCount(rule.id, rule.action.value, rule.mode.value, counts[rule.id])
                    for rule in (rules.counted if rules else ())
                ),
                interfaces=traffic.statistics() if traffic else {},
                interfaces_up=traffic.up() if traffic else {},
                interfaces_isolated={name: state.isolated for name, state in isolation.items()},
                interfaces_closed_again={name: state.closed_again for name, state in isolation.items()},
                workers=self._workers(),
                parse_errors=self._totals.parse_errors(generation),
                maps=tuple(
                    MapUse(name, len(map_), map_.spec.max_entries, map_.evicted)
                    for name, map_ in generation.filling_maps().items()
                ),
                verify_seconds={name: program.seconds for name, program in generation.collection.programs.items()},
                compile_seconds=generation.collection.compile_seconds,
                datapath_seconds=self._processes.loader.processor_seconds(),
                approvals=self._processes.trust.counts(),
                remembered=self._processes.remembered(),
                reloads=dict(self._reloads),
                reload_timestamp=self._loaded_at,
            )


def _told(error: Exception) -> str:
    """An error of ours in its own words, any other with its kind."""
    return str(error) if isinstance(error, TidegateError) else f"{type(error).__name__}: {error}"


def _described(replaced: Mapping[str, Replaced]) -> str:
    """The live sets that changed, in keys of their maps."""
    changed = {name: each for name, each in replaced.items() if each != Replaced(0, 0)}
    return "".join(f"; @{name} +{each.added} -{each.removed}" for name, each in changed.items())


def _endpoint(address: str, port: int) -> str:
    """As a URL has it: an IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
