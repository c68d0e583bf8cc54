"""The state of one run: registers, frames, and what a helper may ask of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.ebpf.instructions import FRAME_POINTER
from appliance.ebpf.interpreter.context import Context
from appliance.ebpf.interpreter.holdings import Holdings
from appliance.ebpf.interpreter.regions import Region
from appliance.ebpf.interpreter.values import (
    Helper,
    InterpreterMap,
    MapHandle,
    Pointer,
    Value,
    Violation,
    describe,
)

MAX_FRAMES = 8
FINISHED = -1


@dataclass(frozen=True, slots=True)
class Frame:
    """What a call saves of its caller: where to go on, r6 to r9, and r10."""

    resume: int
    saved: list[Value | None]
    frame_pointer: Value | None


class Machine:
    """Registers and frames. Steps work on `registers` directly; a register that holds nothing yet is None."""

    __slots__ = ("_frames", "_values", "context", "helpers", "holdings", "maps", "registers")

    def __init__(
        self, maps: Mapping[str, InterpreterMap], helpers: Mapping[int, tuple[str, Helper]], context: Context | None
    ) -> None:
        self.maps = maps
        self.helpers = helpers
        self.context = context
        self.registers: list[Value | None] = [None] * FRAME_POINTER
        self.registers.append(Pointer(Region.stack(), 0))
        self._frames: list[Frame] = []
        self._values: dict[int, Region] = {}
        self.holdings = Holdings()

    def enter(self, target: int, resume: int) -> int:
        """Call the subprogram at `target`: a new stack, r1 to r5 as they are, nothing in the others."""
        self.holdings.demand_no_lock("a call of a function")
        if len(self._frames) == MAX_FRAMES - 1:
            raise Violation(f"a call more than {MAX_FRAMES} frames deep")
        registers = self.registers
        self._frames.append(Frame(resume, registers[6:FRAME_POINTER], registers[FRAME_POINTER]))
        registers[0] = None
        registers[6:] = [None] * 4 + [Pointer(Region.stack(), 0)]
        return target

    def leave(self) -> int:
        """Return to the caller, or finish."""
        self.holdings.demand_no_lock("a return")
        if not self._frames:
            self.holdings.demand_no_record()
            return FINISHED
        frame = self._frames.pop()
        registers = self.registers
        stack = registers[FRAME_POINTER]
        if isinstance(stack, Pointer):
            stack.region.end("of a function that has returned")
        registers[1:] = [None] * 5 + frame.saved + [frame.frame_pointer]
        return frame.resume

    def call(self, number: int) -> None:
        """Call a helper: r0 is its answer, r1 to r5 are lost."""
        if number not in self.helpers:
            raise Violation(f"there is no helper {number} here")
        name, helper = self.helpers[number]
        if name != "spin_unlock":
            self.holdings.demand_no_lock(f"a call of {name}")
        answer = helper(HelperCall(self, self.registers[1:6], name))
        self.registers[:6] = [answer, None, None, None, None, None]

    def map_named(self, name: str) -> InterpreterMap:
        if name not in self.maps:
            raise Violation(f"there is no map {name!r} here")
        return self.maps[name]

    def value_pointer(self, map_: InterpreterMap, value: bytearray | memoryview, offset: int = 0) -> Pointer:
        """A pointer into a live map value; the same value always gives the same region."""
        region = self._values.get(id(value))
        if region is None or region.data is not value:
            region = Region(
                f"a value of the map {map_.spec.name!r}", value, writable=not map_.spec.read_only_to_programs
            )
            self._values[id(value)] = region
        return Pointer(region, offset)


class HelperCall:
    """One call of a helper, and the checked ways to its arguments. Arguments count from 0, which is r1."""

    __slots__ = ("_arguments", "machine", "name")

    def __init__(self, machine: Machine, arguments: list[Value | None], name: str) -> None:
        self.machine = machine
        self.name = name
        self._arguments = arguments

    @property
    def context(self) -> Context:
        """The context of the run. Raises Violation if it has none (raw memory)."""
        if self.machine.context is None:
            raise Violation(f"{self.name} works on a packet, and there is none here")
        return self.machine.context

    def refuse(self, argument: int, wanted: str) -> Violation:
        return Violation(
            f"argument r{argument + 1} of {self.name} must be {wanted}, and is {describe(self._arguments[argument])}"
        )

    def value(self, argument: int) -> Value:
        value = self._arguments[argument]
        if value is None:
            raise self.refuse(argument, "written")
        return value

    def number(self, argument: int) -> int:
        """0 to 2**64 - 1."""
        value = self._arguments[argument]
        if not isinstance(value, int):
            raise self.refuse(argument, "a number")
        return value

    def map(self, argument: int) -> InterpreterMap:
        value = self._arguments[argument]
        if not isinstance(value, MapHandle):
            raise self.refuse(argument, "a map")
        return value.map

    def pointer(self, argument: int) -> Pointer:
        value = self._arguments[argument]
        if not isinstance(value, Pointer):
            raise self.refuse(argument, "a pointer")
        return value

    def read(self, argument: int, size: int) -> bytes:
        """The `size` bytes that the argument points to, each of which must be initialised."""
        pointer = self.pointer(argument)
        return pointer.region.read(pointer.offset, size)

    def write(self, argument: int, content: bytes) -> None:
        pointer = self.pointer(argument)
        pointer.region.write(pointer.offset, content)
