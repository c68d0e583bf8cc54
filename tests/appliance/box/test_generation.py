"""What one generation of a box hands over to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.box.config import ProgramConfig
from appliance.box.filter_spec import FilterSpec
from appliance.box.generation import Generation
from appliance.maps import MapOfMaps

OBJECT = Path(__file__).parents[3] / "programs" / "xdp_tenants.bpf.o"
SOURCE = bytes([192, 0, 2, 66])


@pytest.mark.parametrize("resized", [False, True])
def test_a_map_of_maps_goes_over_with_the_maps_that_it_holds(resized: bool) -> None:
    filter_spec = FilterSpec.of_object(ProgramConfig(OBJECT, None, None))
    changed = filter_spec
    if resized:
        untagged = replace(filter_spec.spec.maps["untagged"], max_entries=7)
        changed = replace(
            filter_spec, spec=replace(filter_spec.spec, maps={**filter_spec.spec.maps, "untagged": untagged})
        )
    first = Generation.load(filter_spec, 1)
    first.collection.maps["untagged"].update(SOURCE, bytes(8))
    second = Generation.load(changed, 1, first)
    first.close(second)
    try:
        tenants, untagged_now = (second.collection.maps[name] for name in ("tenants", "untagged"))
        assert isinstance(tenants, MapOfMaps)
        assert tenants[bytes(4)] is untagged_now
        assert (tenants is first.collection.maps["tenants"]) is not resized
        assert len(untagged_now) == (0 if resized else 1)
    finally:
        second.close()
    assert all(map_.closed for map_ in first.collection.maps.values())
