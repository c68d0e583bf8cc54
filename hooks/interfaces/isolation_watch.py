"""Are isolated interfaces still closed to the host's stack? Others may put filters in front of ours, or take them away;
this notices within a second, says so, and closes the interface again where the kernel allows it. Programs of tcx can't
be overtaken: while there is one, the interface counts as open.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hooks.errors import HookError
from hooks.interfaces.clsact import close_to_host, opening
from hooks.interfaces.netdev import Interface, interface_state
from hooks.interfaces.tcx import tcx_programs

LOOK_SECONDS = 0.5
MENTION_SECONDS = 60.0  # another program that insists is mentioned this often, not twice a second


@dataclass(frozen=True, slots=True)
class IsolationState:
    """`isolated`: False while the host's own stack may hear or speak on the interface; True if there is none of that
    name. `closed_again`: how often it was found open and closed again."""

    isolated: bool = True
    closed_again: int = 0


@dataclass(frozen=True, slots=True)
class Openings:
    """What let the host's stack in at an interface, in words: `overtaken` does no longer, `left` may still do so."""

    overtaken: str | None = None
    left: str | None = None


def close_again(held: Interface) -> Openings:
    """Close an isolated interface again if it is open to the host. Raises HookError or OSError."""
    if overtaken := opening(held.index):
        close_to_host(held.name, held.index)
    return Openings(overtaken, tcx_programs(held.index))


class IsolationWatch:
    """Looks when it is told to, from one thread; `states` may be read from any. `close_again` is who looks and closes:
    this process, or one that may."""

    def __init__(
        self,
        names: Iterable[str],
        log: Callable[[str], None],
        close_again: Callable[[Interface], Openings] = close_again,
    ) -> None:
        self._log = log
        self._close_again = close_again
        self._mentioned: dict[tuple[str, bool], float] = {}
        self.states: Mapping[str, IsolationState] = {name: IsolationState() for name in names}

    def look(self, held: Iterable[Interface]) -> None:
        """`held` are the interfaces that are isolated; one that is there and not among them is open."""
        by_name = {interface.name: interface for interface in held}
        self.states = {name: self._look(name, by_name.get(name)) for name in self.states}

    def _look(self, name: str, held: Interface | None) -> IsolationState:
        closed_again = self.states[name].closed_again
        state = interface_state(name)
        if state is None or held is None or held.index != state.index:
            return IsolationState(state is None, closed_again)
        try:
            found = self._close_again(held)
        except (HookError, OSError) as error:
            self._mention(name, False, f"the host is not shut out any more: {error}")
            return IsolationState(interface_state(name) is None, closed_again)
        if found.overtaken:
            closed_again += 1
            self._mention(name, True, f"{name}: the host was not shut out any more, and is again: {found.overtaken}")
        if found.left:
            self._mention(name, False, f"{name}: the host may not be shut out: {found.left} may let frames through")
        return IsolationState(found.left is None, closed_again)

    def _mention(self, name: str, isolated: bool, text: str) -> None:
        now = time.monotonic()
        if now - self._mentioned.get((name, isolated), -MENTION_SECONDS) >= MENTION_SECONDS:
            self._mentioned[name, isolated] = now
            self._log(text)


class IsolationFollower:
    """Looks every LOOK_SECONDS at the interfaces that somebody holds, until it is closed: in a thread of its own, which
    is in the network namespace of the one that makes it. A context manager; closing twice is harmless. `states` may be
    read from any thread.
    """

    def __init__(self, held: Iterable[Interface], log: Callable[[str], None]) -> None:
        self._held = tuple(held)
        self._watch = IsolationWatch([interface.name for interface in self._held], log)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="isolation", daemon=True)
        self._thread.start()

    @property
    def states(self) -> Mapping[str, IsolationState]:
        return self._watch.states

    def _follow(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._watch.look(self._held)

    def close(self) -> None:
        """It must not close again what is opened next."""
        self._over.set()
        self._thread.join()

    def __enter__(self) -> IsolationFollower:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
