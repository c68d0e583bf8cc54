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

from appliance.ebpf.spec import CollectionSpec
from appliance.helpers.native.call import Clock
from appliance.ir import Engine
from appliance.jit.build_key import BuildKey, Loops, compile_, prove
from appliance.jit.linking import link
from appliance.jit.loaded import LoadedCollection, LoadedProgram, open_maps
from appliance.jit.plan import plan
from appliance.maps.control.map import Map
from appliance.memory import PRIVATE, Reserve


class Collection(LoadedCollection):
    """What was proved and compiled in this process. Made by `load`. Threads: see LoadedCollection."""

    @property
    def engine(self) -> Engine:
        """The code, which is this process's own."""
        assert isinstance(self.code, Engine)
        return self.code

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
            maps = open_maps(opened, spec, processors, reuse or {}, reserve)
            key = _with_one_symbol_each(key, maps)
            began = time.perf_counter()
            verified = dict(prove(key))
            proved = time.perf_counter()
            engine = opened.enter_context(link(key, compile_(key), maps))
            compiled = time.perf_counter()
            programs_ = {name: LoadedProgram.of(program) for name, program in verified.items()}
            loaded = cls(programs_, maps, engine, verify_seconds=proved - began, compile_seconds=compiled - proved)
            if key.targets:
                loaded.name_targets(processors, reuse or {})
            opened.pop_all()
        return loaded


def _with_one_symbol_each(key: BuildKey, maps: Mapping[str, Map]) -> BuildKey:
    """Two names of one map, as maps that are taken over may be, are one memory: LLVM takes different names for
    different memory."""
    symbols: dict[int, str] = {}
    parts = (replace(part, symbol=symbols.setdefault(id(maps[part.name]), part.symbol)) for part in key.maps)
    return replace(key, maps=tuple(parts))
