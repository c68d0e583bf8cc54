"""The state of one run: registers, frames, and what a helper may ask of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from appliance.ebpf.interpreter.context import Context
from appliance.ebpf.interpreter.maps import InterpreterMap, MapHandle
from appliance.ebpf.interpreter.references import References
from appliance.ebpf.interpreter.regions import FunctionAddress, Pointer, Region, Value, describe
from appliance.ebpf.interpreter.violation import Violation
from appliance.ebpf.isa.instructions import FRAME_POINTER
from appliance.ebpf.spec import ProgramSpec

MAX_FRAMES = 8

# What a step answers if no instruction of the same program comes next.
FINISHED = -1
ELSEWHERE = -2  # control passed to `code` at `resume`


@dataclass(frozen=True, slots=True)
class Code:
    """A program and its steps."""

    program: ProgramSpec
    steps: Sequence[Callable[[Machine], int]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a call saves of its caller: where to go on, r6 to r9, r10; and the helper that called back, if any."""

    code: Code
    resume: int
    saved: list[Value | None]
    frame_pointer: Value | None
    helper: Generator[Invocation, int, Value] | None = None


class Machine:
    """Registers and frames. Steps work on `registers` directly; a register that holds nothing yet is None.

    `code` is what runs, `resume` where it goes on when it was another program's turn before; `find` gives the programs
    that tail calls lead to, by name, and `tail_calls` counts those of the run. For one thread.
    """

    __slots__ = (
        "_find",
        "_frames",
        "_values",
        "code",
        "context",
        "helpers",
        "maps",
        "references",
        "registers",
        "resume",
        "tail_calls",
    )

    def __init__(
        self,
        code: Code,
        maps: Mapping[str, InterpreterMap],
        helpers: Mapping[int, tuple[str, Helper]],
        context: Context | None,
        find: Callable[[str], Code],
    ) -> None:
        self.code = code
        self.resume = 0
        self.tail_calls = 0
        self._find = find
        self.maps = maps
        self.helpers = helpers
        self.context = context
        self.registers: list[Value | None] = [None] * FRAME_POINTER
        self.registers.append(Pointer(Region.stack(), 0))
        self._frames: list[Frame] = []
        self._values: dict[int, Region] = {}
        self.references = References()

    def enter(self, target: int, resume: int, helper: Generator[Invocation, int, Value] | None = None) -> int:
        """Call the subprogram at `target`: a new stack, r1 to r5 as they are, nothing in the others."""
        self.references.demand_no_lock("a call of a function")
        if len(self._frames) == MAX_FRAMES - 1:
            raise Violation(f"a call more than {MAX_FRAMES} frames deep")
        registers = self.registers
        self._frames.append(Frame(self.code, resume, registers[6:FRAME_POINTER], registers[FRAME_POINTER], helper))
        registers[0] = None
        registers[6:] = [None] * 4 + [Pointer(Region.stack(), 0)]
        return target

    def leave(self) -> int:
        """Return to the caller, or finish."""
        self.references.demand_no_lock("a return")
        if not self._frames:
            self.references.demand_no_record()
            return FINISHED
        frame = self._frames.pop()
        registers = self.registers
        self._end_stack()
        registers[1:] = [None] * 5 + frame.saved + [frame.frame_pointer]
        stays, self.code = frame.code is self.code, frame.code
        following = frame.resume
        if frame.helper is not None:
            following = self._call_back(frame.helper, self._answer_of_callback(), following)
        if stays:
            return following
        self.resume = following
        return ELSEWHERE

    def _end_stack(self) -> None:
        stack = self.registers[FRAME_POINTER]
        if isinstance(stack, Pointer):
            stack.region.end("of a function that has returned")

    def _answer_of_callback(self) -> int:
        answer = self.registers[0]
        if not isinstance(answer, int):
            raise Violation(f"a callback returns r0, which holds {describe(answer)}")
        return answer

    def call(self, number: int, following: int) -> int:
        """Call a helper: r0 is its answer, r1 to r5 are lost. What comes next."""
        if number not in self.helpers:
            raise Violation(f"there is no helper {number} here")
        name, helper = self.helpers[number]
        if name != "spin_unlock":
            self.references.demand_no_lock(f"a call of {name}")
        answer = helper(HelperCall(self, self.registers[1:6], name))
        if isinstance(answer, TailCall):
            return self._replace(answer.program)
        if isinstance(answer, Generator):
            return self._call_back(answer, None, following)
        self.registers[:6] = [answer, None, None, None, None, None]
        return following

    def _call_back(self, helper: Generator[Invocation, int, Value], answer: int | None, following: int) -> int:
        """Let the helper go on with a callback's answer (None: begin): it calls back once more, or is done."""
        try:
            invocation = next(helper) if answer is None else helper.send(answer)
        except StopIteration as end:
            self.registers[:6] = [end.value, None, None, None, None, None]
            return following
        target = self.enter(invocation.function.index, following, helper)
        self.registers[1:6] = [*invocation.arguments, *[None] * (5 - len(invocation.arguments))]
        return target

    def _replace(self, program: str) -> int:
        """Begin another program in the place of the function that runs; it returns to that function's caller."""
        self._end_stack()
        self.code, self.resume = self._find(program), 0
        self.tail_calls += 1
        context = self.registers[1]
        self.registers[:] = [None, context, *[None] * 8, Pointer(Region.stack(), 0)]
        return ELSEWHERE

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


@dataclass(frozen=True, slots=True)
class Invocation:
    """A helper calls a function of the program back, with r1 and the following registers as given."""

    function: FunctionAddress
    arguments: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class TailCall:
    """A helper's answer that is none: the run goes on in the program of that name, in the place of the caller."""

    program: str


class HelperCall:
    """One call of a helper, and the checked ways to its arguments. Arguments count from 0, which is r1.
    For one thread."""

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

    def function(self, argument: int) -> FunctionAddress:
        value = self._arguments[argument]
        if not isinstance(value, FunctionAddress):
            raise self.refuse(argument, "a function")
        return value

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


# A helper that calls back yields an Invocation, is sent what the function returned, and returns its own answer.
Helper: TypeAlias = Callable[[HelperCall], Value | TailCall | Generator[Invocation, int, Value] | None]
