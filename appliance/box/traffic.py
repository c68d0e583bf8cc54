"""The passages of a box while it runs: isolated, served, given up when an interface vanishes, taken up when it returns.

all there ──> Isolation of each inline interface ──> Datapath
    ^                                                   │ an interface vanished, or is another one now
    └───────────── looked for twice a second <──────────┘
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from appliance.box.config import PassageConfig
from appliance.datapath.datapath import Datapath, Passage
from appliance.datapath.statistics import InterfaceStatistics
from appliance.datapath.worker import Run
from hooks.errors import HookError
from hooks.isolation import Isolation
from hooks.netdev import find_interface, interface_state


class Traffic:
    """The datapath of a box, whatever becomes of its interfaces. A context manager; closing twice is harmless.

    `log` is told what the operator should know. All of it is called from one thread, but for `statistics` and `up`.
    """

    def __init__(
        self, passages: Sequence[PassageConfig], run: Run, *, workers: int, log: Callable[[str], None]
    ) -> None:
        """Isolate the interfaces and begin to serve. Raises HookError; everything is then as it was."""
        self._passages = tuple(passages)
        self._run = run
        self._workers = workers
        self._log = log
        self._past: dict[str, InterfaceStatistics] = {name: InterfaceStatistics() for name in self.interfaces}
        self._served: tuple[PassageConfig, ...] = ()
        self._indices: dict[str, int] = {}
        self._datapath: Datapath | None = None
        self._owned = ExitStack()
        self._complaint = ""
        self._counting = threading.Lock()  # so that what a closing datapath counted is seen once, and not twice
        self._open(self._passages)

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The names of all interfaces, in the order of the configuration."""
        return tuple(name for p in self._passages for name in (p.outside, p.inside) if name is not None)

    def _open(self, passages: Sequence[PassageConfig]) -> None:
        with ExitStack() as opening:
            wired = [self._prepare(opening, passage) for passage in passages]
            if wired:
                self._datapath = opening.enter_context(Datapath(wired, self._run, workers=self._workers))
            self._indices = {interface.name: interface.index for passage in wired for interface in passage.interfaces}
            self._served = tuple(passages)
            self._owned = opening.pop_all()

    @staticmethod
    def _prepare(opening: ExitStack, passage: PassageConfig) -> Passage:
        if passage.inside is None:
            return Passage(find_interface(passage.outside))
        outside, inside = (opening.enter_context(Isolation(name)) for name in (passage.outside, passage.inside))
        return Passage(outside, inside)

    def swap(self, run: Run) -> None:
        """Go on with other code; returns when the old code is not used any more."""
        self._run = run
        if self._datapath is not None:
            self._datapath.swap(run)

    def watch(self) -> None:
        """Notice interfaces that went or came, and follow. Cheap; to be called every half second or so."""
        present = tuple(p for p in self._passages if all(map(interface_state, filter(None, (p.outside, p.inside)))))
        if present == self._served and all(self._index_of(name) == index for name, index in self._indices.items()):
            return
        for passage in self._served:
            if passage not in present:
                self._log(f"{passage}: an interface is gone; waiting for it")
        self._shut()
        try:
            self._open(present)
        except HookError as error:
            self._complain(str(error))
            return
        self._complain("")
        for passage in present:
            self._log(f"{passage}: serving")

    def _complain(self, text: str) -> None:
        """Say what keeps a passage from being served, once."""
        if text and text != self._complaint:
            self._log(text)
        self._complaint = text

    @staticmethod
    def _index_of(name: str) -> int | None:
        state = interface_state(name)
        return None if state is None else state.index

    def statistics(self) -> dict[str, InterfaceStatistics]:
        """A snapshot by interface, over all the sockets that it has had."""
        with self._counting:
            now = self._datapath.statistics() if self._datapath is not None else {}
            return {name: past + now.get(name, InterfaceStatistics()) for name, past in self._past.items()}

    def up(self) -> dict[str, bool]:
        """Whether each interface is there, up, and has a carrier."""
        states = {name: interface_state(name) for name in self.interfaces}
        return {name: state is not None and state.up and state.carrier for name, state in states.items()}

    def _shut(self) -> None:
        with self._counting:
            datapath, self._datapath = self._datapath, None
            if datapath is not None:
                datapath.halt()
                for name, last in datapath.statistics().items():
                    self._past[name] += last
        self._owned.close()
        self._served, self._indices = (), {}

    def close(self) -> None:
        """End it and put every interface back as it was."""
        self._shut()

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
