"""What the proofs and the code of a load are made from: equal build keys have equal proofs and equal code.

    BuildKey ──prove──> VerifiedProgram by name ──compile_──> NativeCode ──link, with the maps' addresses──> Engine
              │                                    │
              └─── remembered, by the key ──────┘

Both are functions of the key and of nothing else, so their results are remembered: an object that is loaded again,
or a rule set that is put back, costs no more than linking. Build keys are compared value by value and not by a digest,
and what is remembered never leaves this process: there is nothing that anybody could forge (docs/decisions/0008).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import PLATFORMS
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.helpers.native.call import Clock, MapSite
from appliance.ir import NativeCode, Pointer, compile_module, memory
from appliance.jit.entries import Entries, may_write_frames
from appliance.jit.program import LARGEST_INLINED, emit_entry, emit_program, emit_twin
from appliance.maps.kind import Shape
from appliance.maps.operations import link_operations
from appliance.verifier.program import VerifiedProgram
from appliance.verifier.verifier import Verifier

# Writes what calls the programs, into their module. What it writes depends on its own value alone: a loop that is to be
# recognised is an object that compares by value (a frozen dataclass), or a function of a module.
Loops: TypeAlias = Callable[[ir.Module, Entries], None]

REMEMBERED = 8  # loads
LOOKUP = "map_lookup_elem"


@dataclass(frozen=True, slots=True)
class MapPart:
    """One map as the code sees it: `size` bytes called `symbol`. Two names of one map have one symbol."""

    name: str
    spec: MapSpec
    processors: int
    size: int
    symbol: str


@dataclass(frozen=True, slots=True)
class BuildKey:
    """Everything that the proofs and the code of a load depend on, but for the code of this program itself."""

    source: str
    platform: str
    programs: tuple[tuple[str, ProgramSpec], ...]
    specs: tuple[tuple[str, MapSpec], ...]
    maps: tuple[MapPart, ...]
    clock: Clock
    loops: Loops | None
    targets: bool = False
    """Whether tail calls from elsewhere may lead to the programs: then all of them are exported."""

    def __hash__(self) -> int:
        """Of what is quickly hashed; equality compares all."""
        programs = tuple((name, len(program.instructions)) for name, program in self.programs)
        return hash((self.source, programs, tuple(part.name for part in self.maps)))


@lru_cache(REMEMBERED)
def prove(key: BuildKey) -> Mapping[str, VerifiedProgram]:
    """The programs, by name. Raises Rejected."""
    verifier = Verifier(dict(key.specs), PLATFORMS[key.platform])
    return {name: verifier.verify(program) for name, program in key.programs}


@lru_cache(REMEMBERED)
def compile_(key: BuildKey) -> NativeCode:
    """One module of all programs and of the loops around them. Raises Rejected, NotCompilable."""
    module = ir.Module(ascii(key.source))  # a file's name may hold a line's end, or bytes that are no text
    sites = dict(_sites(module, key))
    proved = prove(key)
    bodies: dict[str, ir.Function] = {}
    for name, program in proved.items():
        twin = next((other for other in bodies if _is_one(program, proved[other]) and not key.targets), None)
        bodies[name] = (
            emit_twin(module, program, bodies[twin])
            if twin is not None
            else emit_program(module, program, sites, key.clock)
        )
    if key.targets:
        for body in bodies.values():
            body.linkage = "external"
    if key.loops is not None:
        functions = {name: emit_entry(module, program, bodies[name]) for name, program in proved.items()}
        key.loops(module, Entries(functions, (name for name in proved if may_write_frames(proved[name]))))
    return compile_module(module)


def _is_one(program: VerifiedProgram, other: VerifiedProgram) -> bool:
    """Whether both are the same code, which is then written once: the verifier gave them the same facts. What is small
    is rather inlined where each of them is called."""
    return program.facts is other.facts and len(program.spec.instructions) > LARGEST_INLINED


def _sites(module: ir.Module, key: BuildKey) -> Iterator[tuple[str, MapSite]]:
    """The maps as code in `module` sees them, and what it is to see of the maps that are in a map of maps."""
    inlined = _shapes_of_one_lookup(key)

    def site(spec: MapSpec, processors: int, address: Pointer | None = None) -> MapSite:
        lookup = Shape.of(spec, processors).name in inlined
        functions = link_operations(module, spec, processors, lookup=lookup)
        values = address if spec.type is MapType.ARRAY else None
        return MapSite(address, spec, functions, values, processors)

    for part in key.maps:
        known = module.globals.get(part.symbol)
        address = known if known is not None else memory(module, part.symbol, part.size)
        yield part.name, site(part.spec, part.processors, address)
        if part.spec.inner is not None:
            yield part.spec.inner.name, site(part.spec.inner, part.processors)


def _shapes_of_one_lookup(key: BuildKey) -> set[str]:
    """The shapes of maps in which the programs look something up at one place: there a lookup is worth being written
    into the program. A second one would be a call in any case."""
    places: Counter[str] = Counter()
    shapes = {
        spec.name: Shape.of(spec, part.processors).name
        for part in key.maps
        for spec in (replace(part.spec, name=part.name), part.spec.inner)
        if spec is not None
    }
    for program in prove(key).values():
        for call in program.facts.calls.values():
            if call.helper == LOOKUP:
                places.update({shapes[name] for name in call.maps})
    return {shape for shape, number in places.items() if number == 1}
