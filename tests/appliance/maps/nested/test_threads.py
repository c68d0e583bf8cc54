"""A worker looks maps up in a map of maps, while another thread puts other ones in their place."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from appliance.ebpf.map_types import MapType
from appliance.jit.collection import Collection
from appliance.maps import Map, MapOfMaps, open_map
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.support import collection_spec, run_loaded, run_loops
from tests.appliance.maps.nested.nested import INNER, TYPES, key, outer_of
from tests.appliance.maps.three_engines import told

COUNT_UP = """
    *(u32 *)(r10 - 4) = 1
    r2 = r10
    r2 += -4
    r1 = map[m] ll
    call map_lookup_elem
    if r0 == 0 goto none
    r1 = r0
    r2 = r10
    r2 += -4
    call map_lookup_elem
    if r0 == 0 goto none
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    r0 = 2
    exit
    none:
    r0 = 1
    exit
"""


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.value)
def test_a_worker_counts_while_maps_are_exchanged(type_: MapType) -> None:
    """Whatever map the worker finds, its count goes into that one and no other: the sum is the number of runs."""
    runs, kinds = 40_000, replace(INNER["array"], max_entries=4)
    spec = collection_spec([outer_of(kinds, type_)], test=COUNT_UP)
    with Collection.load(spec, loops=run_loops) as loaded:
        outer, found = loaded.maps["m"], [0]
        assert isinstance(outer, MapOfMaps)

        def work() -> None:
            found[0] = sum(run_loaded(loaded, "test", FrameContext()) == 2 for _ in range(runs))

        worker = threading.Thread(target=work)
        inside = open_map(kinds)
        outer[key(1)] = inside
        worker.start()
        exchanged: list[Map] = [inside]
        while worker.is_alive() and len(exchanged) < 500:
            exchanged.append(open_twin(inside))
            outer[key(1)] = exchanged[-1]
            if len(exchanged) % 7 == 0:
                outer.delete(key(1))
        worker.join()
        counted = sum(told(map_.lookup(key(1))) for map_ in exchanged)
        assert len(exchanged) > 1
        assert counted == found[0] > 0
        outer.close()
        assert not any(map_.closed for map_ in exchanged)
        for map_ in exchanged:
            map_.close()


def open_twin(map_: Map) -> Map:
    """Another map of the same kind."""
    return Map.open(map_.spec, map_.processors)
