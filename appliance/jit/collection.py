"""Everything that one object holds, loaded: maps opened, programs proved, one module of native code.

    CollectionSpec ──> open maps ──> verify ──> emit ────────────────────────┐
                       (or reuse)               operations, one per shape    │
                                                programs                     ├──> one module ──> Engine
                                                the caller's loops           │                     │
                                                the control plane's doors ───┘      bind maps <────┘

Code is short-lived and maps are not: a reload loads the next collection with the maps of the running one, swaps the
code, and then closes the old collection, which keeps what the new one uses.

    new = Collection.load(spec, reuse=old.maps, loops=…)
    …                                     swap at a batch boundary
    old.close(keep=new.maps.values())     or, called off:  old.bind(); new.close(keep=old.maps.values())
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from llvmlite import ir

from appliance.ebpf.platform import PLATFORMS
from appliance.ebpf.spec import CollectionSpec, MapType, ProgramSpec
from appliance.errors import InputRefused
from appliance.helpers.native.call import Clock, MapSite
from appliance.ir import Engine
from appliance.jit.program import emit_program
from appliance.maps.kind import NESTED
from appliance.maps.map import Map
from appliance.maps.map_of_maps import MapOfMaps
from appliance.maps.opening import control_plane
from appliance.maps.operations import emit_operations, export_operations
from appliance.verifier.program import VerifiedProgram
from appliance.verifier.verifier import Verifier

Loops = Callable[[ir.Module, Mapping[str, ir.Function]], None]


class Collection:
    """Programs that run and maps that live. Made by `load`; a context manager; closing twice is harmless.

    `programs` and `maps` are by name. `engine` exports what the loops exported. `verify_seconds` and
    `compile_seconds` are wall time: the proofs, and everything from the first IR instruction to native code.
    """

    def __init__(
        self,
        programs: Mapping[str, VerifiedProgram],
        maps: Mapping[str, Map],
        engine: Engine,
        *,
        verify_seconds: float,
        compile_seconds: float,
    ) -> None:
        self.programs = programs
        self.maps = maps
        self.engine = engine
        self.verify_seconds = verify_seconds
        self.compile_seconds = compile_seconds

    @classmethod
    def load(
        cls,
        spec: CollectionSpec,
        *,
        programs: Iterable[str] | None = None,
        processors: int = 1,
        reuse: Mapping[str, Map] | None = None,
        clock: Clock = Clock.MONOTONIC,
        loops: Loops | None = None,
    ) -> Collection:
        """Load the programs of those names (None: all) and every map.

        `processors` is the number of workers. A map of `reuse` is taken over, entries and all, where its declaration
        is the same in every respect but its name; its initial contents are not put in again. `loops` gets the module
        and the programs' functions, `i64 (ptr HostContext)`, by name, and writes what calls them.

        Raises InputRefused for an unknown name, Rejected, MapRefused or NotCompilable; whatever was opened is closed
        then, and the maps of `reuse` are what they were.
        """
        chosen = _choose(spec, programs)
        with ExitStack() as opened:
            maps = _open_maps(opened, spec, processors, reuse or {})
            began = time.perf_counter()
            verifier = Verifier(spec.maps, PLATFORMS[spec.platform])
            verified = {name: verifier.verify(program) for name, program in chosen.items()}
            proved = time.perf_counter()
            module = _emit_module(spec.source, verified, maps, clock, loops)
            engine = opened.enter_context(Engine(module))
            compiled = time.perf_counter()
            _bind(maps, engine, reuse or {})
            opened.pop_all()
        return cls(verified, maps, engine, verify_seconds=proved - began, compile_seconds=compiled - proved)

    def bind(self) -> None:
        """Let the maps' control plane use this collection's code (again: after a reload that was called off)."""
        for map_ in self.maps.values():
            map_.bind(self.engine)

    def close(self, *, keep: Iterable[Map] = ()) -> None:
        """Close the code and the maps, save those to `keep`: the ones that the next collection took over.

        No native code of this collection may be running. Kept maps must be bound to another engine, as `load` does.
        """
        kept = {id(map_) for map_ in keep}
        for map_ in sorted(self.maps.values(), key=_holds_none):
            if id(map_) not in kept:
                map_.close()
        self.engine.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _choose(spec: CollectionSpec, names: Iterable[str] | None) -> dict[str, ProgramSpec]:
    wanted = list(spec.programs if names is None else names)
    for name in wanted:
        if name not in spec.programs:
            known = ", ".join(spec.programs) or "none"
            raise InputRefused(f"there is no program {name!r}", where=spec.source, hint=f"programs: {known}")
    return {name: spec.programs[name] for name in wanted}


def _open_maps(opened: ExitStack, spec: CollectionSpec, processors: int, reuse: Mapping[str, Map]) -> dict[str, Map]:
    """Each map by name, those that others hold first; those that are new are closed with `opened`."""
    maps = {}
    for name, declared in sorted(spec.maps.items(), key=lambda entry: entry[1].type in NESTED):
        known = reuse.get(name)
        if known is not None and replace(known.spec, name=name) == declared and known.processors == processors:
            maps[name] = known
        else:
            maps[name] = opened.enter_context(control_plane(declared).open(declared, processors))
    for map_ in maps.values():
        if isinstance(map_, MapOfMaps):
            map_.name_maps(maps)
    return {name: maps[name] for name in spec.maps}


def _holds_none(map_: Map) -> bool:
    """Maps of maps end before those that they hold."""
    return map_.spec.type not in NESTED


def _emit_module(
    name: str, programs: Mapping[str, VerifiedProgram], maps: Mapping[str, Map], clock: Clock, loops: Loops | None
) -> ir.Module:
    module = ir.Module(ascii(name))  # a file's name may hold a line's end, or bytes that are no text
    sites = map_sites(module, maps)
    functions = {name: emit_program(module, program, sites, clock) for name, program in programs.items()}
    if loops is not None:
        loops(module, functions)
    for map_ in maps.values():
        export_operations(module, map_.spec, map_.processors)
    return module


def map_sites(module: ir.Module, maps: Mapping[str, Map]) -> dict[str, MapSite]:
    """The open maps as code in `module` sees them, and what it is to see of the maps that are in a map of maps."""
    sites = {}
    for name, map_ in maps.items():
        sites[name] = map_site(module, map_)
        inner = map_.spec.inner
        if inner is not None:
            functions = emit_operations(module, inner, map_.processors)
            sites[inner.name] = MapSite(None, inner, functions, None, map_.processors)
    return sites


def map_site(module: ir.Module, map_: Map) -> MapSite:
    """The open map as code in `module` sees it."""
    functions = emit_operations(module, map_.spec, map_.processors)
    values = map_.address if map_.spec.type is MapType.ARRAY else None
    return MapSite(map_.address, map_.spec, functions, values, map_.processors)


def _bind(maps: Mapping[str, Map], engine: Engine, reuse: Mapping[str, Map]) -> None:
    """New maps first: filling them may fail, and then those of somebody else must still be bound as they were."""
    taken_over = {id(map_) for map_ in reuse.values()}
    for map_ in sorted(maps.values(), key=lambda map_: id(map_) in taken_over):
        map_.bind(engine)
