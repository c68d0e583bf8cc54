"""Maps that an object takes from elsewhere instead of having its own."""

from __future__ import annotations

import pytest

import appliance.api as api
from appliance.api import open_object
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import open_map
from appliance.verifier.reports.report import Rejected
from tests.appliance.api.objects import FRAME, example, key, opened


def test_a_map_of_another_object_is_reused() -> None:
    borrower = opened()
    with opened().load() as owner:
        borrower.maps["seen"].reuse(owner.maps["seen"])
        with borrower.load() as loaded:
            assert loaded.maps["seen"] is owner.maps["seen"]
            loaded.programs["count"].test_run(FRAME, context={"ingress_ifindex": 9})
        owner.programs["count"].test_run(FRAME, context={"ingress_ifindex": 9})
        assert owner.maps["seen"].lookup(key(9)) == (2).to_bytes(8, "little")


def test_a_map_of_nobody_is_reused_with_its_size() -> None:
    found = opened()
    with open_map(MapSpec("mine", MapType.HASH, 4, 8, 100)) as mine:
        found.maps["seen"].reuse(mine)
        assert found.maps["seen"].max_entries == 100
        with found.load() as loaded:
            loaded.programs["count"].test_run(FRAME)
        assert list(mine) == [key(0)]
        with pytest.raises(api.ValueUnfit, match="it is another object's map\n  hint: change it before `reuse`"):
            found.maps["seen"].max_entries = 4


def test_maps_that_cannot_stand_in() -> None:
    found = opened()
    with open_map(MapSpec("wide", MapType.HASH, 8, 8, 4)) as wide:
        with pytest.raises(api.ValueUnfit) as error:
            found.maps["seen"].reuse(wide)
        assert str(error.value) == "<object>: map seen: it needs key_size 4, and 'wide' has 8"
    with open_map(MapSpec("mine", MapType.HASH, 4, 8, 4)) as mine:
        found.maps["seen"].reuse(mine)
        with pytest.raises(api.ValueUnfit, match="one of 1 workers, not 2\n  hint: load with workers=1"):
            found.load(workers=2)
        loaded = found.load()
    loaded.programs["count"].test_run(FRAME)  # it lives on in here when its owner has closed it
    assert len(mine) == 1
    loaded.close()
    assert mine.closed
    with pytest.raises(api.ValueUnfit, match="the reused map 'mine' is closed"):
        found.load()


def test_a_load_that_fails_leaves_a_reused_map_as_it_was() -> None:
    found = open_object(example())
    with open_map(MapSpec("mine", MapType.HASH, 4, 8, 4)) as mine:
        mine.update(key(1), bytes(8))
        found.maps["seen"].reuse(mine)
        with pytest.raises(Rejected):
            found.load()
        assert dict(mine.items()) == {key(1): bytes(8)}
