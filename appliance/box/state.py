"""State as a replay begins with it: nothing is remembered, and nothing is learned on trust.

A box that has just started knows no connection, and learns for a while those that it finds going on. A capture is
judged by a box that has been there for long: what nobody asked for within the capture, nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from appliance.rules.code.stages.flows import CLOCK, CLOCK_KEY, NEVER_LEARN


class StateMap(Protocol):
    """What maps in native memory and those in plain Python have in common here."""

    def update(self, key: bytes, value: bytes, flags: int = 0) -> object: ...


class ResetMap(StateMap, Protocol):
    """A map that can be emptied."""

    def reset(self) -> object: ...


def begin_anew(maps: Mapping[str, ResetMap], state: Iterable[str]) -> None:
    """Forget everything that these maps hold."""
    for name in state:
        maps[name].reset()
    never_learn(maps)


def never_learn(maps: Mapping[str, StateMap]) -> None:
    """From the first frame on, what belongs to no known connection is what it is."""
    if CLOCK in maps:
        maps[CLOCK].update(CLOCK_KEY, NEVER_LEARN)
