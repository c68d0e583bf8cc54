"""A program as tail calls reach it, wherever it is put."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from appliance.ebpf.spec import ProgramSpec
from appliance.ir import LinkedCode
from appliance.maps.array.prog_array import NUMBER_SIZE
from appliance.maps.control.map import Map


@dataclass(frozen=True, eq=False)
class Target:
    """A loaded program, as tail calls reach it: its code and the maps that the code works on, for so many workers."""

    spec: ProgramSpec
    address: int
    engine: LinkedCode
    maps: tuple[Map, ...]
    processors: int

    @property
    def target(self) -> Target:
        return self

    def hold(self, *, but: Map) -> None:
        """Keep code and maps, `but` not the one that holds it. Raises RuntimeError if they are closed."""
        with ExitStack() as held:
            for thing in self._parts(but):
                thing.hold()
                held.callback(thing.release)
            held.pop_all()

    def release(self, *, but: Map) -> None:
        """Let go what `hold` kept."""
        for thing in self._parts(but):
            thing.release()

    def _parts(self, but: Map) -> list[LinkedCode | Map]:
        return [self.engine, *(map_ for map_ in self.maps if map_ is not but)]

    @cached_property
    def number(self) -> int:
        """What the control plane sees in an array: 32 bits of a digest of name and instructions, the same wherever and
        however often the program is loaded. (The kernel numbers programs as they come.)"""
        digest = hashlib.sha256(repr((self.spec.name, self.spec.instructions)).encode()).digest()
        return int.from_bytes(digest[:NUMBER_SIZE], "little")


class HasTarget(Protocol):
    """Something that tail calls can lead to."""

    @property
    def target(self) -> Target: ...
