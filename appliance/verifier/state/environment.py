"""What a program is proved against, and the notes that are taken of its exploration: the same for all of its states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.ebpf.platform import Platform
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.verifier.control_flow.call_stack import Frames
from appliance.verifier.domains.values import REGIONS, Pointer
from appliance.verifier.program import Access, CallFacts, Facts, Region
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.stack_use import StackRecorder
from appliance.verifier.state.witness import Sight


def access_of(pointer: Pointer, offset: int, depth: int) -> Access:
    """The fact about a memory operand `offset` bytes from a pointer, in the frame of that depth."""
    region = REGIONS[pointer.kind]
    own = region is Region.CONTEXT or (region is Region.STACK and pointer.id == depth)
    fixed = own and pointer.variable.constant is not None
    return Access(region, pointer.least - pointer.base + offset if fixed else None, pointer.map)


@dataclass(slots=True)
class Environment:
    """The program, its maps and its platform; facts grow as instructions are explored.

    `inner` are what the maps in maps of maps are like, by name: no program can name one, but lookups give them. `index`
    is the instruction that is being explored. `sight` is where states are shown, if somebody looks on.
    For one thread, that of the proof.
    """

    spec: ProgramSpec
    maps: Mapping[str, MapSpec]
    inner: Mapping[str, MapSpec]
    platform: Platform
    facts: FactsRecorder
    last_name: int = 0
    index: int = 0
    frames: Frames = field(default_factory=Frames)
    sight: Sight | None = None

    def fresh(self) -> int:
        """A name that nothing has: for packet ids, null checks and links."""
        self.last_name += 1
        return self.last_name

    def notes(self) -> Notes:
        """What was noted so far."""
        return Notes(self.facts.copy(), self.frames.copy(), self.sight.copy() if self.sight is not None else None)

    def forget(self, notes: Notes) -> None:
        """Whatever was noted since, on paths that are none."""
        self.facts = notes.facts
        self.frames.take_back(notes.frames)
        if self.sight is not None and notes.sight is not None:
            self.sight.take_back(notes.sight)

    def map(self, name: str) -> MapSpec:
        """The map of that name, which was declared, or what the maps of that name in a map of maps are like."""
        return self.maps.get(name) or self.inner[name]

    def declared(self, name: str) -> MapSpec:
        """The map of that name, whose address a program may load. Violates if the collection has none."""
        if name not in self.maps:
            raise Violation(
                Rejection.MAP_MISSING,
                f"uses the map `{name}`, which the collection does not have",
                f"it has {', '.join(sorted(self.maps)) or 'none'}",
            )
        return self.maps[name]

    def is_read_only(self, name: str) -> bool:
        return self.map(name).read_only_to_programs


class Notes(NamedTuple):
    """What an exploration notes besides its states."""

    facts: FactsRecorder
    frames: Frames
    sight: Sight | None


class FactsRecorder:
    """Collects what holds at an instruction on every path that reached it so far. Where a program `never_runs` here,
    only in a kernel, the paths of a call need not agree on what native code would want to know of it.
    For one thread, that of the proof."""

    def __init__(self, *, never_runs: bool = False) -> None:
        self._never_runs = never_runs
        self._accesses: dict[int, Access | None] = {}
        self._calls: dict[int, CallFacts] = {}
        self.reachable: set[int] = set()
        self.functions: set[int] = set()
        self.stack = StackRecorder()

    def access(self, index: int, access: Access) -> None:
        """One memory operand on one path. Violates if paths disagree on whether it is the context, or the kernel's."""
        known = self._accesses.setdefault(index, access)
        if known is access or known == access:
            return
        merged = _merge(known, access)
        regions = {found.region if found is not None else None for found in (known, access)}
        if Region.CONTEXT in regions and (merged is None or merged.offset is None):
            raise Violation(
                Rejection.DIFFERENT_PATHS,
                "accesses a field of the context on one path, and another field or other memory on another path",
                "read the context's fields at the start of the program, into local variables",
            )
        if Region.KERNEL in regions and merged is None:
            raise Violation(
                Rejection.DIFFERENT_PATHS,
                "reads a structure of the kernel on one path, and other memory on another path",
                "read it on each path by itself: the kernel catches a load that fails, and only where it may",
            )
        self._accesses[index] = merged

    def call(self, index: int, facts: CallFacts) -> None:
        """One helper call on one path. Violates if paths disagree on the map, and its address would not tell which."""
        known = self._calls.setdefault(index, facts)
        if known == facts:
            return
        if not self._never_runs:
            _demand_one_implementation(known, facts)
        self._calls[index] = CallFacts(
            facts.helper,
            tuple(sorted({*known.maps, *facts.maps})),
            tuple(_merge(a, b) for a, b in zip(known.arguments, facts.arguments, strict=True)),
            facts.inner,
            facts.text if facts.text == known.text else None,
        )

    def copy(self) -> FactsRecorder:
        copy = FactsRecorder(never_runs=self._never_runs)
        copy._accesses, copy._calls = self._accesses.copy(), self._calls.copy()
        copy.reachable, copy.functions = self.reachable.copy(), self.functions.copy()
        copy.stack = self.stack.copy()
        return copy

    def accessed(self, index: int) -> Access | None:
        """What the instruction's memory operand is on every path so far; None if there is no such thing."""
        return self._accesses.get(index)

    def facts(self) -> Facts:
        accesses = {index: access for index, access in self._accesses.items() if access is not None}
        stack = self.stack.facts(self._always_stack)
        return Facts(accesses, dict(self._calls), frozenset(self.reachable), frozenset(self.functions), stack)

    def _always_stack(self, index: int, register: int) -> bool:
        """Whether every path has a pointer to the stack in that register: an operand's base, or a call's argument."""
        call = self._calls.get(index)
        access = call.arguments[register - 1] if call is not None else self._accesses.get(index)
        return access is not None and access.region is Region.STACK


def _demand_one_implementation(known: CallFacts, facts: CallFacts) -> None:
    """Violates if the paths to a call want different native code for it."""
    if known.maps != facts.maps and (known.inner or facts.inner):
        raise Violation(
            Rejection.DIFFERENT_PATHS,
            f"calls `{facts.helper}` on a map out of a map of maps, and on another map on another path",
            "call it on each path by itself",
        )
    if known.text != facts.text:
        raise Violation(
            Rejection.DIFFERENT_PATHS,
            f"calls `{facts.helper}` with one text on one path, and with another on another path",
            "call it once for each of the texts",
        )


def _merge(a: Access | None, b: Access | None) -> Access | None:
    """What holds of both; None if they are in different regions."""
    if a is None or b is None or a.region is not b.region:
        return None
    if a == b:
        return a
    return Access(a.region, a.offset if a.offset == b.offset else None, a.map if a.map == b.map else None)
