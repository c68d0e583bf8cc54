"""What a register can hold: a number, or something with a provenance that arithmetic can't make up.

None              nothing yet
int               0 to 2**64 - 1
Pointer           a place in one region; never a number
MapHandle         a map, to be given to a helper
FunctionAddress   a subprogram, to be called
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from appliance.ebpf.spec import MapSpec

if TYPE_CHECKING:
    from appliance.ebpf.interpreter.machine import HelperCall
    from appliance.ebpf.interpreter.regions import Region


class InterpreterMap(Protocol):
    """A map as the interpreter takes it. `appliance.maps.model.models` has one for each type."""

    @property
    def spec(self) -> MapSpec: ...

    def lookup(self, key: bytes) -> bytearray | memoryview | None:
        """The live value: what is written to it is in the map. None if there is none."""
        ...

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        """0 or -errno."""
        ...

    def delete(self, key: bytes) -> int:
        """0 or -errno."""
        ...

    def extract(self, key: bytes) -> bytearray | memoryview | None:
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
class MapHandle:
    """A map in a register."""

    map: InterpreterMap


@dataclass(frozen=True, slots=True)
class FunctionAddress:
    """The address of the subprogram that starts at instruction `index`."""

    index: int


@dataclass(frozen=True, slots=True)
class Invocation:
    """A helper calls a function of the program back, with r1 and the following registers as given."""

    function: FunctionAddress
    arguments: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class TailCall:
    """A helper's answer that is none: the run goes on in the program of that name, in the place of the caller."""

    program: str


Value: TypeAlias = int | Pointer | MapHandle | FunctionAddress
# A helper that calls back yields an Invocation, is sent what the function returned, and returns its own answer.
Helper: TypeAlias = "Callable[[HelperCall], Value | TailCall | Generator[Invocation, int, Value] | None]"


class Violation(Exception):
    """Something that a verified program never does. The interpreter adds where, and raises it on as a Fault."""

    def __init__(self, what: str, region: str | None = None, offset: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.region = region
        self.offset = offset


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
