"""What is loaded, whoever proved and linked it: programs, maps, code, and their common end.

A subclass says how it comes about: `Collection` proves and compiles here; a box has both done elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Self

from appliance.closeable import Closeable
from appliance.ebpf.spec import CollectionSpec, ProgramSpec
from appliance.epochs import default_domain
from appliance.ir import LinkedCode
from appliance.jit.plan import opening_order
from appliance.jit.program import body_name, tail_call_maps
from appliance.maps.control.map import Map
from appliance.maps.control.map_of_maps import MapOfMaps
from appliance.maps.control.opening import control_plane
from appliance.maps.control.prog_array import ProgArray
from appliance.maps.control.target import Target
from appliance.memory import Reserve
from appliance.verifier.program import VerifiedProgram

PATIENCE = 0.05  # seconds: a batch's end is waited for, so that memory is mostly free again when a collection is closed


@dataclass(frozen=True, slots=True)
class LoadedProgram:
    """A program that was proved: what the others need to know of it.

    `helpers` are those that it calls, `tail_call_maps` the arrays of programs that it calls by, and `body` the exported
    function that tail calls to it lead to. `seconds` is how long the proof took."""

    spec: ProgramSpec
    helpers: frozenset[str]
    tail_call_maps: frozenset[str]
    body: str
    seconds: float

    @classmethod
    def of(cls, program: VerifiedProgram) -> Self:
        helpers = frozenset(call.helper for call in program.facts.calls.values())
        return cls(program.spec, helpers, frozenset(tail_call_maps(program)), body_name(program), program.seconds)


class LoadedCollection(Closeable):
    """Programs that run and maps that live. A context manager; closing twice is harmless. One thread loads and closes
    it; whoever runs its code is a reader.

    `programs`, `maps` and `targets` (the programs as tail calls reach them) are by name. `code` exports what loops
    export. `verify_seconds` and `compile_seconds` are wall time: the proofs, and everything from the first IR
    instruction to native code.
    """

    def __init__(
        self,
        programs: Mapping[str, LoadedProgram],
        maps: Mapping[str, Map],
        code: LinkedCode,
        *,
        verify_seconds: float,
        compile_seconds: float,
    ) -> None:
        self.programs = programs
        self.maps = maps
        self.code = code
        self.targets: Mapping[str, Target] = {}
        self.verify_seconds = verify_seconds
        self.compile_seconds = compile_seconds
        self._closed = False

    def name_targets(self, processors: int, reuse: Mapping[str, Map]) -> None:
        """Let the arrays of programs that are new hold what they are to hold at first; those that are taken over must
        be able to go on with these programs."""
        everything = tuple(self.maps.values())
        self.targets = {
            name: Target(program.spec, self.code.address(program.body), self.code, everything, processors)
            for name, program in self.programs.items()
        }
        arrays = {name: map_ for name, map_ in self.maps.items() if isinstance(map_, ProgArray)}
        for program in self.programs.values():
            for name in arrays.keys() & program.tail_call_maps:
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
        self.code.close()
        for map_ in sorted(self.maps.values(), key=_holds_none):
            if id(map_) not in kept:
                map_.close()
        default_domain.reclaim(PATIENCE)

    def _arrays(self) -> list[ProgArray]:
        return [map_ for map_ in self.maps.values() if isinstance(map_, ProgArray)]


def open_maps(
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
