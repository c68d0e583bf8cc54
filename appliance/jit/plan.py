"""What a load is to be, before anything is opened: from specs alone to the build key of its proofs and code.

    CollectionSpec ──plan──> BuildKey ──(build_key)──> proofs, code
                      │
                      └── which programs, which maps, how large: no memory, no descriptor, no native code

The key is the same wherever it is planned, so that one process can prove and compile what another one links.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.errors import InputRefused
from appliance.helpers.native.call import Clock
from appliance.jit.build_key import BuildKey, Loops, MapPart
from appliance.maps.kind import NESTED
from appliance.maps.operations import memory_size


class KernelOnlyProgram(InputRefused):
    """A program of a hook that only a kernel has: it can be verified, and never run here."""

    def __init__(self, program: ProgramSpec, source: str) -> None:
        super().__init__(
            f"the program {program.name!r} is of hook `{program.hook.name}`, which only a kernel has",
            where=source,
            hint="it does not run here; `tidegate verify` judges it",
        )


def plan(
    spec: CollectionSpec,
    *,
    programs: Iterable[str] | None = None,
    processors: int = 1,
    clock: Clock = Clock.MONOTONIC,
    loops: Loops | None = None,
    targets: bool = False,
) -> BuildKey:
    """What `Collection.load` is to prove and compile; see there. Raises MapRefused for a declaration that no map can be
    made of, InputRefused for an unknown name."""
    sizes = {name: memory_size(spec.maps[name], processors) for name in opening_order(spec)}
    chosen = _choose(spec, programs)
    declared = {name: _without_contents(map_) for name, map_ in spec.maps.items()}
    parts = tuple(MapPart(name, map_, processors, sizes[name], symbol_of(name)) for name, map_ in declared.items())
    targets = targets or any(map_.type is MapType.PROG_ARRAY for map_ in declared.values())
    specs = tuple(declared.items())
    return BuildKey(spec.source, spec.platform, tuple(chosen.items()), specs, parts, clock, loops, targets)


def opening_order(spec: CollectionSpec) -> list[str]:
    """The names of the maps, those that others hold first."""
    return sorted(spec.maps, key=lambda name: spec.maps[name].type in NESTED)


def symbol_of(map_: str) -> str:
    """What code calls the memory of the map of that name."""
    return f"memory.{map_}"


def held_programs(spec: CollectionSpec) -> list[ProgramSpec]:
    """What arrays of programs hold at first. Raises InputRefused if it is not among the programs."""
    held = []
    for map_ in spec.maps.values():
        for _, name in map_.values if map_.type is MapType.PROG_ARRAY else ():
            if name not in spec.programs:
                what = f"the map {map_.name!r} holds the program {name!r}, which is not to be loaded"
                raise InputRefused(what, where=spec.source, hint="let the program load, or the object without the map")
            held.append(spec.programs[name])
    return held


def _choose(spec: CollectionSpec, names: Iterable[str] | None) -> dict[str, ProgramSpec]:
    every = (name for name, program in spec.programs.items() if program.autoload)
    wanted = list(every if names is None else names)
    for name in wanted:
        if name not in spec.programs:
            known = ", ".join(spec.programs) or "none"
            raise InputRefused(f"there is no program {name!r}", where=spec.source, hint=f"programs: {known}")
    chosen = {name: spec.programs[name] for name in wanted} | {held.name: held for held in held_programs(spec)}
    for program in chosen.values():
        if not program.hook.runs_here:
            raise KernelOnlyProgram(program, spec.source)
    return chosen


def _without_contents(spec: MapSpec) -> MapSpec:
    """What proofs and code depend on: the contents of maps that nobody changes, and of no others."""
    return spec if spec.read_only else replace(spec, contents=())
