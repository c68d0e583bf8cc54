"""One loaded configuration: the object that judges, its maps, and the native loop around it.

A reload builds the next generation beside the running one, unless the rules are the same and only the elements of live
sets are others: these are exchanged in the maps, by difference. State that belongs to a rule (who sent how much, who is
known) is handed over by map name, which follows from the rule's id; counters begin at 0 in every generation and are
summed up by id, so that a rule may move to another place in the list without taking another rule's counts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import replace

from appliance.box.filter_spec import FilterSpec
from appliance.box.loader import HERE, Loader
from appliance.datapath.routing_feed import ask_for_routes
from appliance.datapath.statistics import Count
from appliance.datapath.worker import Run
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec, MapSpec
from appliance.jit.loaded import LoadedCollection
from appliance.maps.control.map import Map
from appliance.maps.control.map_of_maps import MapOfMaps
from appliance.maps.control.packed import Replaced
from appliance.rules.code.redirects import Exit, entry
from appliance.rules.model import LiveSet
from appliance.rules.sets.running import RunningSet

FILLING = frozenset({MapType.HASH, MapType.LRU_HASH, MapType.LPM_TRIE})
COUNTER = struct.Struct("=QQ")  # packets, bytes


class Generation:
    """A filter, loaded. `run` is the native loop. Closing twice is harmless.
    Any thread may ask for counts until it is closed; one loads and closes it."""

    def __init__(self, filter_spec: FilterSpec, collection: LoadedCollection) -> None:
        self.filter_spec = filter_spec
        self.collection = collection
        self.run: Run = Run.of(collection.code)
        live = filter_spec.rules.sets if filter_spec.rules else {}
        self.sets: Mapping[str, RunningSet] = {
            name: RunningSet(name, found.type, collection.maps) for name, found in live.items()
        }

    @classmethod
    def load(
        cls, filter_spec: FilterSpec, workers: int, previous: Generation | None = None, *, loader: Loader = HERE
    ) -> Generation:
        """Have the loader verify and compile; take over the state of the rules that stay, and the maps of the sets that
        stay, which hold what they held until `refill`. Raises InputRefused, and what the loader raises; `previous` is
        then what it was."""
        taken = previous.set_maps(filter_spec) if previous else {}
        spec = filter_spec.spec
        held = {name: replace(spec.maps[name], contents=map_.spec.contents) for name, map_ in taken.items()}
        reuse = {**_whole(previous.state_maps(), spec), **taken} if previous else {}
        collection = loader.load(filter_spec, replace(spec, maps={**spec.maps, **held}), workers, reuse)
        return cls(filter_spec, collection)

    @property
    def asks_for_routes(self) -> bool:
        """Whether one of its programs asks for routes or MTUs."""
        return ask_for_routes(self.collection.programs.values())

    def state_maps(self) -> Mapping[str, Map]:
        """The maps that outlive a reload."""
        return {name: self.collection.maps[name] for name in self.filter_spec.state_maps}

    def set_maps(self, successor: FilterSpec) -> Mapping[str, Map]:
        """The maps of live sets that a successor goes on with: those of the same name and shape."""
        return {
            name: map_
            for running in self.sets.values()
            for name, map_ in running.maps.items()
            if name in successor.spec.maps and _is_alike(map_.spec, successor.spec.maps[name])
        }

    def refill(self, sets: Mapping[str, LiveSet]) -> dict[str, Replaced]:
        """Make every live set what it is in `sets`, by difference, while frames flow. What changed, by name."""
        return {name: running.replace(sets[name].contents) for name, running in self.sets.items()}

    def point(self, index_of: Callable[[Exit], int | None]) -> None:
        """Make the maps of interfaces what `index_of` says of each, for any number of times; None: it isn't there."""
        for name, exits in (self.filter_spec.rules.exits if self.filter_spec.rules else {}).items():
            map_ = self.collection.maps[name]
            for number, exit_ in enumerate(exits):
                key, index = entry(number), index_of(exit_)
                known = map_.lookup(key)
                if index is None and known is not None:
                    map_.delete(key)
                elif index is not None and known != entry(index):
                    map_.update(key, entry(index))

    def filling_maps(self) -> Mapping[str, Map]:
        """The maps that fill up as frames come: how full they are is worth watching. A rule's are called by its id and
        the key of the rule that sizes them, as in `syn-first.tries`."""
        rules = self.filter_spec.rules
        uses = rules.state_maps if rules else {}
        return {uses.get(name, name): map_ for name, map_ in self.collection.maps.items() if map_.spec.type in FILLING}

    def rule_counts(self) -> dict[str, Count]:
        """What each rule counted in this generation, by id."""
        rules = self.filter_spec.rules
        if rules is None:
            return {}
        counters = self.collection.maps[rules.counters]
        return {rule.id: _sum(counters, rule.index) for rule in rules.counted}

    def parse_errors(self) -> dict[str, int]:
        """Malformed frames of this generation, by reason."""
        rules = self.filter_spec.rules
        if rules is None:
            return {}
        errors = self.collection.maps[rules.parse_errors]
        return {
            reason: sum(int.from_bytes(value, "little") for value in errors.lookup_all(struct.pack("=I", index)))
            for index, reason in enumerate(rules.parse_error_reasons)
        }

    def close(self, successor: Generation | None = None) -> None:
        """End it; what a successor took over stays."""
        self.collection.close(keep=successor.collection.maps.values() if successor else ())


def _whole(maps: Mapping[str, Map], spec: CollectionSpec) -> Mapping[str, Map]:
    """Maps of maps are handed over together with all maps that their declarations put in, or not at all: what the next
    generation calls by their names must be what its programs find."""
    return {
        name: map_
        for name, map_ in maps.items()
        if not isinstance(map_, MapOfMaps) or all(_stays(inner, maps, spec) for _, inner in map_.spec.values)
    }


def _stays(name: str, maps: Mapping[str, Map], spec: CollectionSpec) -> bool:
    return name in maps and maps[name].spec == spec.maps.get(name)


def _is_alike(running: MapSpec, declared: MapSpec) -> bool:
    return replace(running, contents=()) == replace(declared, contents=())


def _sum(counters: Map, index: int) -> Count:
    """One rule's counters, summed over the workers."""
    return sum((Count(*COUNTER.unpack(value)) for value in counters.lookup_all(struct.pack("=I", index))), Count())
