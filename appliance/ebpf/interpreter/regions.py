"""What a register can hold, and the memories that pointers lead into.

    None              nothing yet
    int               0 to 2**64 - 1
    Pointer           a place in one region; never a number
    MapHandle         a map, to be given to a helper
    FunctionAddress   a subprogram, to be called

A region has bounds, and a note of what was never written and where a pointer is kept:

    index into data     0            low - origin                  high - origin
                        +-----------------+-----------------------------+-----------+
                        |  out of reach   |           in reach          |           |
                        +-----------------+-----------------------------+-----------+
    offset              origin            low                           high

A pointer stored with all its 8 bytes is kept beside the data, under its offset, and comes back by a load of just these
bytes. Anything that overwrites one of them ends it. A dynptr is kept likewise with 16 bytes, which no load may touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from appliance.ebpf.interpreter.maps import MapHandle
from appliance.ebpf.interpreter.violation import Violation
from appliance.ebpf.isa.instructions import STACK_SIZE

POINTER_SIZE = 8
DYNPTR_SIZE = 16


class Pointer(NamedTuple):
    """Byte `offset` of a region, where 0 is the region's own origin; it may lie outside of the region."""

    region: Region
    offset: int


class Dynptr(NamedTuple):
    """What 16 bytes of a region stand for, at which a program may not look: `size` bytes from `start` on, None if there
    are none. It is in no register."""

    start: Pointer | None
    size: int


@dataclass(frozen=True, slots=True)
class FunctionAddress:
    """The address of the subprogram that starts at instruction `index`."""

    index: int


Value: TypeAlias = int | Pointer | MapHandle | FunctionAddress


class Region:
    """One piece of memory: `high - low` bytes from offset `low`, of which byte `origin` is the first of `data`.

    `tracked`: every byte counts as unwritten until the program has stored to it. For one thread.
    """

    __slots__ = ("_dynptrs", "_pointers", "_written", "data", "high", "low", "name", "origin", "writable")

    def __init__(
        self,
        name: str,
        data: bytearray | memoryview,
        *,
        origin: int = 0,
        low: int | None = None,
        high: int | None = None,
        writable: bool = True,
        tracked: bool = False,
    ) -> None:
        self.name = name
        self.data = data
        self.origin = origin
        self.low = origin if low is None else low
        self.high = origin + len(data) if high is None else high
        self.writable = writable
        self._written = bytearray(len(data)) if tracked else None
        self._pointers: dict[int, Value] = {}
        self._dynptrs: dict[int, Dynptr] = {}

    @classmethod
    def stack(cls) -> Region:
        """A frame's own stack; r10 points to its offset 0, behind its last byte."""
        return cls("the stack", bytearray(STACK_SIZE), origin=-STACK_SIZE, tracked=True)

    def end(self, reason: str) -> None:
        """Nothing is in reach any more; `reason` becomes part of the region's name."""
        self.low = self.high = 0
        self.name = f"{self.name} ({reason})"

    def load(self, offset: int, size: int) -> Value:
        """The little-endian number, or the kept pointer, at `offset`."""
        if offset < self.low or offset + size > self.high:
            self._out_of_reach("read", offset, size)
        if self._dynptrs:
            self._no_dynptr(offset, size)
        if self._pointers and (kept := self._kept(offset, size)) is not None:
            return kept
        index = offset - self.origin
        if self._written is not None and self._written.find(0, index, index + size) >= 0:
            self._unwritten(offset, size)
        return int.from_bytes(self.data[index : index + size], "little")

    def store(self, offset: int, size: int, value: Value) -> None:
        """Put the low `size` bytes of a number, or all 8 of anything else, at `offset`."""
        if value.__class__ is not int and size != POINTER_SIZE:
            raise Violation(f"a store of {size} bytes cuts a pointer", self.name, offset)
        number = value if isinstance(value, int) else 0
        self.write(offset, (number & (1 << size * 8) - 1).to_bytes(size, "little"))
        if not isinstance(value, int):
            self._pointers[offset] = value

    def read(self, offset: int, size: int) -> bytes:
        """Plain bytes, for a helper."""
        if offset < self.low or offset + size > self.high:
            self._out_of_reach("read", offset, size)
        self._no_dynptr(offset, size)
        for place in self._pointers:
            if place < offset + size and offset < place + POINTER_SIZE:
                raise Violation(f"read of a pointer kept at offset {place} of {self.name} as bytes", self.name, offset)
        index = offset - self.origin
        if self._written is not None and self._written.find(0, index, index + size) >= 0:
            self._unwritten(offset, size)
        return bytes(self.data[index : index + size])

    def write(self, offset: int, content: bytes) -> None:
        """Put plain bytes at `offset`."""
        size = len(content)
        if offset < self.low or offset + size > self.high:
            self._out_of_reach("write", offset, size)
        if not self.writable:
            raise Violation(f"write to {self.name}, which is read-only", self.name, offset)
        index = offset - self.origin
        self.data[index : index + size] = content
        if self._written is not None:
            self._written[index : index + size] = b"\1" * size
        if self._pointers:
            ended = [place for place in self._pointers if place < offset + size and offset < place + POINTER_SIZE]
            for place in ended:
                del self._pointers[place]
        for place in [each for each in self._dynptrs if each < offset + size and offset < each + DYNPTR_SIZE]:
            del self._dynptrs[place]

    def put_dynptr(self, offset: int, dynptr: Dynptr) -> None:
        """The 16 bytes at `offset` are a dynptr now."""
        self.write(offset, bytes(DYNPTR_SIZE))
        self._dynptrs[offset] = dynptr

    def dynptr(self, offset: int) -> Dynptr:
        """The dynptr that the bytes at `offset` are."""
        if offset not in self._dynptrs:
            raise Violation(f"there is no dynptr at offset {offset} of {self.name}", self.name, offset)
        return self._dynptrs[offset]

    def end_dynptr(self, offset: int) -> None:
        """There is none any more, and the bytes may not be read."""
        self.write(offset, bytes(DYNPTR_SIZE))
        if self._written is not None:
            index = offset - self.origin
            self._written[index : index + DYNPTR_SIZE] = bytes(DYNPTR_SIZE)

    def _no_dynptr(self, offset: int, size: int) -> None:
        for place in self._dynptrs:
            if place < offset + size and offset < place + DYNPTR_SIZE:
                raise Violation(f"read of a dynptr at offset {place} of {self.name}", self.name, offset)

    def _kept(self, offset: int, size: int) -> Value | None:
        if size == POINTER_SIZE and offset in self._pointers:
            return self._pointers[offset]
        for place in self._pointers:
            if place < offset + size and offset < place + POINTER_SIZE:
                raise Violation(f"read of a part of a pointer at offset {offset} of {self.name}", self.name, offset)
        return None

    def _out_of_reach(self, access: str, offset: int, size: int) -> None:
        raise Violation(
            f"{access} of {size} bytes at offset {offset} of {self.name}, which spans {self.low} to {self.high}",
            self.name,
            offset,
        )

    def _unwritten(self, offset: int, size: int) -> None:
        raise Violation(
            f"read of {size} bytes at offset {offset} of {self.name}, not all of which were written", self.name, offset
        )


def describe(value: Value | None) -> str:
    """What a register holds, in the words of a message."""
    match value:
        case None:
            return "nothing yet"
        case 0:
            return "null"
        case int():
            return "a number"
        case Pointer():
            return f"a pointer to {value.region.name}"
        case MapHandle():
            return f"the map {value.map.spec.name!r}"
        case FunctionAddress():
            return "a function"
