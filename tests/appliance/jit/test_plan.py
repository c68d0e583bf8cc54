"""What a load is to be, planned without opening anything."""

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.jit.build_key import compile_
from appliance.jit.collection import Collection
from appliance.jit.plan import plan, symbol_of
from appliance.maps.control.opening import open_map
from appliance.maps.errors import MapRefused
from appliance.maps.kind import NESTED
from appliance.maps.operations import KINDS
from tests.appliance.jit.counting import COUNT, HITS
from tests.appliance.jit.support import collection_spec, run_loops

PASS = "r0 = 2; exit"

INNER = MapSpec("inner", MapType.ARRAY, 4, 8, 4)
SIZES = {  # key, value, entries; of all other types (4, 8, 16)
    MapType.LPM_TRIE: (8, 8, 16),
    MapType.QUEUE: (0, 8, 16),
    MapType.STACK: (0, 8, 16),
    MapType.BLOOM_FILTER: (0, 8, 16),
    MapType.RINGBUF: (0, 0, 4096),
    MapType.PERF_EVENT_ARRAY: (4, 4, 0),
    MapType.PROG_ARRAY: (4, 4, 16),
    MapType.ARRAY_OF_MAPS: (4, 4, 16),
    MapType.HASH_OF_MAPS: (4, 4, 16),
    MapType.XSKMAP: (4, 4, 16),
}


@pytest.mark.parametrize("type_", KINDS, ids=lambda type_: type_.value)
def test_maps_of_every_type_are_planned_as_large_as_they_are_opened(type_: MapType) -> None:
    flags = 1 if type_ is MapType.LPM_TRIE else 0  # BPF_F_NO_PREALLOC
    inner = INNER if type_ in NESTED else None
    spec = MapSpec("m", type_, *SIZES.get(type_, (4, 8, 16)), flags=flags, inner=inner)
    (part,) = plan(collection_spec([spec], one=PASS), processors=2).maps
    with open_map(spec, 2) as opened:
        assert (part.size, part.processors) == (opened.memory_size, opened.processors)


def test_a_load_compiles_what_was_planned() -> None:
    """So that another process can have it made."""
    spec = collection_spec([HITS], count=COUNT)
    key = plan(spec, loops=run_loops)
    assert [part.symbol for part in key.maps] == [symbol_of("hits")]
    with Collection.load(spec, loops=run_loops) as loaded:
        assert loaded.engine.code is compile_(key)


def test_what_no_map_can_be_made_of_is_refused() -> None:
    spec = collection_spec([MapSpec("m", MapType.ARRAY, 4, 1 << 20, 1 << 20)], one=PASS)
    with pytest.raises(MapRefused, match="more than the 1073741824 that one map may have"):
        plan(spec)
