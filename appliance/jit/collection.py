"""Everything that one object holds, loaded: maps opened, programs proved, one module of native code.

    CollectionSpec ──plan──> BuildKey ──> verify ──> emit ─────────────────────────┐
          │                                        programs, with the operations │
          │                                        that they call on maps        ├──> one module
          │                                        the caller's loops ───────────┘        │
          └──> open maps (or reuse) ── addresses ───────────────────────────> link <──────┘

Code is short-lived and maps are not: a reload loads the next collection with the maps of the running one, swaps the
code, and then closes the old collection, which keeps what the new one uses. What was proved and compiled before is
not proved and compiled again (see build_key.py). What is closed is freed a grace period later (appliance.epochs).

    new = Collection.load(spec, reuse=old.maps, loops=…)
    …                                     publish the new code
    old.close(keep=new.maps.values())     or, called off:  new.close(keep=old.maps.values())
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace

from appliance.closeable import Closeable
from appliance.ebpf.spec import CollectionSpec
from appliance.epochs import default_domain
from appliance.helpers.native.call import Clock
from appliance.ir import Engine
from appliance.jit.build_key import BuildKey, Loops, compile_, prove
from appliance.jit.linking import link
from appliance.jit.plan import opening_order, plan
from appliance.jit.program import body_name, tail_call_maps
from appliance.maps.control.map import Map
from appliance.maps.control.map_of_maps import MapOfMaps
from appliance.maps.control.opening import control_plane
from appliance.maps.control.prog_array import ProgArray
from appliance.maps.control.target import Target
from appliance.memory import PRIVATE, Reserve
from appliance.verifier.program import VerifiedProgram

PATIENCE = 0.05  # seconds: a batch's end is waited for, so that memory is mostly free again when a collection is closed


class Collection(Closeable):
    """Programs that run and maps that live. Made by `load`; a context manager; closing twice is harmless. One thread
    loads and closes it; whoever runs its code is a reader.

    `programs`, `maps` and `targets` (the programs as tail calls reach them) are by name. `engine` exports what loops
    export. `verify_seconds` and `compile_seconds` are wall time: the proofs, and everything from the first IR
    instruction to native code.
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
        self.targets: Mapping[str, Target] = {}
        self.verify_seconds = verify_seconds
        self.compile_seconds = compile_seconds
        self._closed = False

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
        targets: bool = False,
        reserve: Reserve = PRIVATE,
    ) -> Collection:
        """Load the programs of those names (None: all that load unless asked not to), those that arrays of programs
        hold at first, and every map.

        `processors` is the number of workers. A map of `reuse` is taken over, entries and all, where its declaration
        is the same in every respect but its name; its initial contents are not put in again. `loops` gets the module
        and the programs' functions, `i64 (ptr HostContext)`, by name, and writes what calls them. `targets` says that
        tail calls from elsewhere may lead to the programs; if there is an array of programs they may in any case.
        New maps take their memory from the `reserve`.

        Raises InputRefused for an unknown name, Rejected, MapRefused or NotCompilable; whatever was opened is closed
        then, and the maps of `reuse` are what they were.
        """
        with ExitStack() as opened:
            key = plan(spec, programs=programs, processors=processors, clock=clock, loops=loops, targets=targets)
            maps = _open_maps(opened, spec, processors, reuse or {}, reserve)
            key = _with_one_symbol_each(key, maps)
            began = time.perf_counter()
            verified = dict(prove(key))
            proved = time.perf_counter()
            engine = opened.enter_context(link(key, compile_(key), maps))
            compiled = time.perf_counter()
            loaded = cls(verified, maps, engine, verify_seconds=proved - began, compile_seconds=compiled - proved)
            if key.targets:
                loaded._name_targets(processors, reuse or {})
            opened.pop_all()
        return loaded

    def _name_targets(self, processors: int, reuse: Mapping[str, Map]) -> None:
        """Let the arrays of programs that are new hold what they are to hold at first; those that are taken over must
        be able to go on with these programs."""
        everything = tuple(self.maps.values())
        self.targets = {
            name: Target(program.spec, self.engine.address(body_name(program)), self.engine, everything, processors)
            for name, program in self.programs.items()
        }
        arrays = {name: map_ for name, map_ in self.maps.items() if isinstance(map_, ProgArray)}
        for program in self.programs.values():
            for name in arrays.keys() & tail_call_maps(program):
                arrays[name].serve(program.spec.hook, f"the program {program.spec.name!r}")
        for name, array in arrays.items():
            if array is reuse.get(name):
                array.check_followers(self.targets)
            else:
                array.name_programs(self.targets)
                array.fill()

    def take_over(self) -> None:
        """Let the arrays of programs that were taken over lead to this collection's programs, by their names.

        What runs goes on with these programs from now on. Raises OperationRefused if a place was meanwhile given to a
        program whose successor does not belong there; that array is then what it was.
        """
        for array in self._arrays():
            array.follow(self.targets)

    def close(self, *, keep: Iterable[Map] = ()) -> None:
        """Close the code and the maps, save those to `keep`: the ones that the next collection took over.

        No worker's loop may be this collection's any more. What others hold of it lives on in there.
        """
        if self._closed:
            return
        self._closed = True
        kept = {id(map_) for map_ in keep}
        lasting = [array for array in self._arrays() if array.held or id(array) in kept]
        for array in lasting:
            array.outlive(self.targets.values())
        for array in self._arrays():
            if array not in lasting:
                array.close()
                array.follow({})  # if somebody took hold of it just now
        self.engine.close()
        for map_ in sorted(self.maps.values(), key=_holds_none):
            if id(map_) not in kept:
                map_.close()
        default_domain.reclaim(PATIENCE)

    def _arrays(self) -> list[ProgArray]:
        return [map_ for map_ in self.maps.values() if isinstance(map_, ProgArray)]


def _open_maps(
    opened: ExitStack, spec: CollectionSpec, processors: int, reuse: Mapping[str, Map], reserve: Reserve
) -> dict[str, Map]:
    """Each map by name, those that others hold first; those that are new are closed with `opened`."""
    maps = {}
    for name in opening_order(spec):
        declared, known = spec.maps[name], reuse.get(name)
        if known is not None and replace(known.spec, name=name) == declared and known.processors == processors:
            maps[name] = known
        else:
            maps[name] = opened.enter_context(control_plane(declared).open(declared, processors, reserve))
    for name, map_ in maps.items():
        if isinstance(map_, MapOfMaps) and map_ is not reuse.get(name):
            map_.name_maps(maps)
    for map_ in maps.values():
        if not isinstance(map_, ProgArray):  # whose programs are not there yet
            map_.fill()
    return {name: maps[name] for name in spec.maps}


def _holds_none(map_: Map) -> bool:
    """Maps of maps, and arrays of programs, end before what they hold."""
    return not isinstance(map_, MapOfMaps | ProgArray)


def _with_one_symbol_each(key: BuildKey, maps: Mapping[str, Map]) -> BuildKey:
    """Two names of one map, as maps that are taken over may be, are one memory: LLVM takes different names for
    different memory."""
    symbols: dict[int, str] = {}
    parts = (replace(part, symbol=symbols.setdefault(id(maps[part.name]), part.symbol)) for part in key.maps)
    return replace(key, maps=tuple(parts))
