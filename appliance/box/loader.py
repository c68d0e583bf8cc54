"""Who proves, compiles and links what a box is to load: this process, or others (appliance.box.processes)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from appliance.box.filter_spec import FilterSpec
from appliance.datapath.loop import PacketLoops
from appliance.ebpf.spec import CollectionSpec
from appliance.jit.collection import Collection
from appliance.jit.loaded import LoadedCollection
from appliance.maps.control.map import Map


class Loader(Protocol):
    """One thread at a time."""

    def load(
        self, filter_spec: FilterSpec, spec: CollectionSpec, workers: int, reuse: Mapping[str, Map]
    ) -> LoadedCollection:
        """Load the two programs of the filter out of `spec`, which is its own but for the contents of maps; see
        `Collection.load` for `reuse`. Raises InputRefused or CannotRun; whatever was opened is closed then."""
        ...


class LoaderHere:
    """Everything in this process: for checks, replays and tests, where nothing is signed and nothing judges frames of a
    network. Any thread."""

    def load(self, filter_spec: FilterSpec, spec: CollectionSpec, workers: int, reuse: Mapping[str, Map]) -> Collection:
        return Collection.load(
            spec,
            programs=(filter_spec.inward, filter_spec.outward),
            processors=workers,
            reuse=reuse,
            loops=PacketLoops(filter_spec.hook, filter_spec.inward, filter_spec.outward),
        )


HERE: Final = LoaderHere()
