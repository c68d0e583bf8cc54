"""What the interpreter asks of maps, and a map in a register."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from appliance.ebpf.spec import MapSpec


class InterpreterMap(Protocol):
    """A map as the interpreter takes it. `appliance.maps.model.models` has one for each type."""

    @property
    def spec(self) -> MapSpec: ...

    def lookup(self, key: bytes) -> bytearray | memoryview | None:
        """The live value: what is written to it is in the map. None if there is none."""
        ...

    def visit(self, key: bytes) -> bytearray | memoryview | None:
        """The same for a walk, which is no use to an LRU hash."""
        ...

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        """0 or -errno."""
        ...

    def delete(self, key: bytes) -> int:
        """0 or -errno."""
        ...

    def lookup_and_delete(self, key: bytes) -> bytearray | memoryview | None:
        """The value, whose entry goes; None if there is none."""
        ...

    def inner_map(self, key: bytes) -> InterpreterMap | None:
        """The map under the key of a map of maps; None if there is none."""
        ...

    def push(self, value: bytes, flags: int) -> int:
        """0 or -errno: what a map with keys answers."""
        ...

    def pop(self) -> bytes | None:
        """The next value of a queue or a stack, which goes; None without one."""
        ...

    def peek(self) -> bytes | None:
        """What `pop` would give."""
        ...

    def output(self, data: bytes, flags: int) -> int:
        """Send a record. 0 or -errno."""
        ...

    def reserve(self, size: int, flags: int) -> bytearray | None:
        """A record to be filled and committed; None if there is no room."""
        ...

    def commit(self, record: bytearray, flags: int, *, discard: bool) -> None:
        """The record is done, to be seen or never."""
        ...

    def query(self, what: int) -> int:
        """A number about a ring buffer."""
        ...

    def sample(self, index: int, data: bytes) -> int:
        """Send a sample to entry `index` of a perf event array. 0 or -errno."""
        ...

    def may_hold(self, value: bytes) -> bool:
        """Whether a bloom filter was given the value."""
        ...

    def keys(self) -> Iterable[bytes]:
        """Every key, for a walk during which entries may come and go."""
        ...

    def program(self, index: int) -> str | None:
        """The name of the program at an index of an array of programs; None without one, and of other maps."""
        ...


@dataclass(frozen=True, slots=True)
class MapHandle:
    """A map in a register."""

    map: InterpreterMap
