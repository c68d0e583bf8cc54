"""An object file, opened: looked at and changed, then loaded.

open_object ──> Object ── programs, maps, variables       nothing is loaded, and no privilege is needed
                  │ load
                  v
                Loaded ── programs, maps, variables       proved, native, with maps in memory
                  │ test_run, attach
                  v
                TestRun, Link
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from appliance.api.errors import ValueUnfit
from appliance.api.loaded import Loaded
from appliance.api.names import Named
from appliance.api.object_map import ObjectMap
from appliance.api.pins import Pins
from appliance.api.types import Types
from appliance.api.variables import ObjectVariables
from appliance.ebpf.isa.disassembler import disassemble
from appliance.ebpf.objects.objects import load_object, load_object_file
from appliance.ebpf.platform import PLATFORMS, Platform
from appliance.ebpf.spec import CollectionSpec, ProgramSpec
from appliance.ebpf.values import Codecs
from appliance.maps.control.map import Map

IN_MEMORY = "<object>"


def open_object(source: str | os.PathLike[str] | bytes, *, platform: Platform | str | None = None) -> Object:
    """Read an eBPF object: a file's path, or the bytes of one.

    `platform` (or its name, "linux" or "windows") is recognised from the file if it isn't given. Raises ObjectError if
    the file can't be read or is no eBPF object, ValueUnfit for an unknown platform's name.
    """
    if isinstance(platform, str):
        if platform not in PLATFORMS:
            raise ValueUnfit(f"there is no platform {platform!r}", hint=f"known: {', '.join(PLATFORMS)}")
        platform = PLATFORMS[platform]
    if isinstance(source, bytes):
        return Object(load_object(source, IN_MEMORY, platform))
    return Object(load_object_file(Path(source), platform))


class ObjectProgram:
    """One program of the file. `autoload` says whether `load` will prove and compile it.

    `spec` has its section, hook, instructions, the functions that it reaches, and source lines.
    For one thread at a time.
    """

    def __init__(self, spec: ProgramSpec, platform: str) -> None:
        self.spec = spec
        self.autoload = spec.autoload
        self._platform = PLATFORMS[platform]

    def listing(self) -> list[str]:
        """Its instructions as text, with the source lines that they came from, as `tidegate disasm` prints them."""
        return disassemble(self.spec.instructions, self.spec.lines, self._platform)


class Object:
    """What a file holds. It may be loaded more than once; changes count for the loads that follow them.

    `spec` is what the file says, unchanged. For one thread at a time, loading included.
    """

    def __init__(self, spec: CollectionSpec) -> None:
        self.spec = spec
        self.programs: Mapping[str, ObjectProgram] = Named(
            "program",
            {name: ObjectProgram(program, spec.platform) for name, program in spec.programs.items()},
            spec.source,
        )
        self.maps: Mapping[str, ObjectMap] = Named(
            "map", {name: ObjectMap(declared, spec.source) for name, declared in spec.maps.items()}, spec.source
        )
        codecs = Codecs(spec.types)
        self.types = Types(spec.types, codecs, spec.source)
        self.variables = ObjectVariables(self.maps, codecs, spec.source)

    def load(self, *, workers: int = 1, pins: Pins | None = None) -> Loaded:
        """Open the maps, prove the programs whose `autoload` is set, and compile them.

        `workers` is the number of threads that will serve an interface; per-CPU maps have a value for each. Maps with a
        `pin_name` are those of `pins`, entries and all, and are pinned there if they are not yet; without `pins` they
        are the object's own. Raises Rejected if a program is not proved safe, MapRefused or CannotRun for a map that
        can't be, ValueUnfit for a reused or pinned map that is not as declared, was made for another number of workers,
        or is closed; nothing stays open, and nothing is pinned, then.
        """
        self._check_pin_names()
        wanted = {name: program.spec for name, program in self.programs.items() if program.autoload}
        shared = {
            name: map_ for name, d in self.maps.items() if (map_ := self._reused_map(d, workers, pins)) is not None
        }
        maps = {name: d.spec_reusing(shared[name]) if name in shared else d.spec for name, d in self.maps.items()}
        loaded = Loaded.load(replace(self.spec, programs=wanted, maps=maps), shared, workers)
        try:
            self._pin(loaded, pins)
        except BaseException:
            loaded.close()
            raise
        return loaded

    def _check_pin_names(self) -> None:
        """Two maps of one object are not one map."""
        taken: dict[str, str] = {}
        for name, declared in self.maps.items():
            if declared.pin_name is not None and taken.setdefault(declared.pin_name, name) != name:
                what = f"the maps {taken[declared.pin_name]!r} and {name!r} are both pinned as {declared.pin_name!r}"
                raise ValueUnfit(what, where=self.spec.source)

    def _reused_map(self, declared: ObjectMap, workers: int, pins: Pins | None) -> Map | None:
        """The open map that is used instead of a new one."""
        map_ = declared.reused if pins is None or declared.reused is not None else declared.pinned_in(pins)
        return None if map_ is None else self._checked(map_, workers)

    def _pin(self, loaded: Loaded, pins: Pins | None) -> None:
        """Pin what is to be shared and is not yet: all of it, or nothing."""
        pinned: list[str] = []
        try:
            for name, declared in self.maps.items():
                if pins is not None and declared.pin_name is not None and declared.pin_name not in pins:
                    pins.pin(loaded.maps[name], declared.pin_name)
                    pinned.append(declared.pin_name)
        except BaseException:
            for name in pinned:
                assert pins is not None
                pins.unpin(name)
            raise

    def _checked(self, map_: Map, workers: int) -> Map:
        if map_.closed:
            raise ValueUnfit(f"the reused map {map_.spec.name!r} is closed", where=self.spec.source)
        if map_.processors != workers:
            what = f"the reused map {map_.spec.name!r} is one of {map_.processors} workers, not {workers}"
            raise ValueUnfit(what, where=self.spec.source, hint=f"load with workers={map_.processors}")
        return map_
