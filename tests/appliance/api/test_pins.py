"""Maps that objects share under a name: found, refused, and alive as long as somebody keeps them."""

from __future__ import annotations

import pytest

import appliance.api as api
from appliance.api import Object, Pins, open_object
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import MapOfMaps, open_map
from appliance.verifier import Rejected
from tests.appliance.ebpf.compiling import compile_c

FRAME = bytes(64)
SHARED = """
struct { MAP(BPF_MAP_TYPE_HASH); __uint(pinning, LIBBPF_PIN_BY_NAME); } shared SEC(".maps");
struct { MAP(BPF_MAP_TYPE_ARRAY); } own SEC(".maps");
SEC("xdp") int count(struct xdp_md *ctx) {
    __u32 key = 1; __u64 one = 1, *known = bpf_map_lookup_elem(&shared, &key);
    if (known) *known += 1; else bpf_map_update_elem(&shared, &key, &one, 0);
    if ((known = bpf_map_lookup_elem(&own, &key))) *known += 1;
    return XDP_PASS;
}
"""
NESTED = """
struct inner { MAP(BPF_MAP_TYPE_HASH); } first SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 4); __type(key, __u32);
         __uint(pinning, LIBBPF_PIN_BY_NAME); __array(values, struct inner); } outer SEC(".maps") = {
    .values = { [1] = &first } };
SEC("xdp") int count(struct xdp_md *ctx) {
    __u32 key = 1; __u64 one = 1, *known; void *inner = bpf_map_lookup_elem(&outer, &key);
    if (!inner) return XDP_DROP;
    if ((known = bpf_map_lookup_elem(inner, &key))) *known += 1; else bpf_map_update_elem(inner, &key, &one, 0);
    return XDP_PASS;
}
"""
KEY = (1).to_bytes(4, "little")


def opened(source: str = SHARED) -> Object:
    return open_object(compile_c(source))


def number(value: bytes | None) -> int:
    assert value is not None
    return int.from_bytes(value, "little")


def test_objects_share_what_they_pin_and_nothing_else() -> None:
    with Pins() as pins, opened().load(pins=pins) as first, opened().load(pins=pins) as second:
        assert list(pins) == ["shared"]
        assert first.maps["shared"] is second.maps["shared"] is pins["shared"]
        for loaded in (first, second, second):
            loaded.programs["count"].test_run(FRAME)
        assert number(pins["shared"].lookup(KEY)) == 3
        assert [number(loaded.maps["own"].lookup(KEY)) for loaded in (first, second)] == [1, 2]


def test_without_a_registry_nothing_is_shared() -> None:
    with opened().load() as first, opened().load() as second:
        assert first.maps["shared"] is not second.maps["shared"]


def test_a_pinned_map_outlives_the_object_that_made_it() -> None:
    with Pins() as pins:
        with opened().load(pins=pins) as first:
            first.programs["count"].test_run(FRAME, repeat=5)
        assert first.maps["own"].closed
        map_ = pins["shared"]
        assert number(map_.lookup(KEY)) == 5
        map_.update(KEY, (40).to_bytes(8, "little"))
        with opened().load(pins=pins) as second:
            second.programs["count"].test_run(FRAME)
        assert number(map_.lookup(KEY)) == 41
    assert map_.closed


def test_an_unpinned_map_ends_with_the_last_object_that_uses_it() -> None:
    with Pins() as pins:
        first, second = opened().load(pins=pins), opened().load(pins=pins)
        map_ = pins["shared"]
        pins.unpin("shared")
        assert list(pins) == []
        first.close()
        second.programs["count"].test_run(FRAME)
        assert number(map_.lookup(KEY)) == 1
        with opened().load(pins=pins) as third:
            assert third.maps["shared"] is pins["shared"] is not map_
        second.close()
        assert map_.closed


def test_names_may_be_chosen() -> None:
    with Pins() as pins:
        one, other = opened(), opened()
        assert (one.maps["shared"].pin_name, one.maps["own"].pin_name) == ("shared", None)
        one.maps["shared"].pin_name = None
        one.maps["own"].pin_name = other.maps["own"].pin_name = "counts"
        with one.load(pins=pins) as first, other.load(pins=pins) as second:
            assert sorted(pins) == ["counts", "shared"]
            assert first.maps["own"] is second.maps["own"]
            assert first.maps["shared"] is not second.maps["shared"]


def test_any_open_map_may_be_pinned() -> None:
    with Pins() as pins:
        with open_map(MapSpec("mine", MapType.HASH, 4, 8, 4)) as mine:
            pins.pin(mine, "shared")
            with pytest.raises(api.ValueUnfit, match=r"^something is pinned as 'shared' already\n"):
                pins.pin(mine, "shared")
            pins.pin(mine)
        with opened().load(pins=pins) as loaded:
            assert loaded.maps["shared"] is mine
        pins.unpin("shared")
        assert not mine.closed
        pins.unpin("mine")
        assert mine.closed
        for absent in (lambda: pins["mine"], lambda: pins.unpin("mine")):
            with pytest.raises(api.NoSuchName, match="there is no pinned map 'mine'"):
                absent()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (MapSpec("x", MapType.LRU_HASH, 4, 8, 4), "it needs type hash, and 'x' has lru_hash"),
        (MapSpec("x", MapType.HASH, 8, 8, 4), "it needs key_size 4, and 'x' has 8"),
        (MapSpec("x", MapType.HASH, 4, 4, 4), "it needs value_size 8, and 'x' has 4"),
        (MapSpec("x", MapType.HASH, 4, 8, 5), "it needs max_entries 4, and 'x' has 5"),
        (MapSpec("x", MapType.HASH, 4, 8, 4, flags=1), "it needs flags 0, and 'x' has 1"),
    ],
)
def test_another_declaration_is_refused(spec: MapSpec, reason: str) -> None:
    with Pins() as pins, open_map(spec) as other:
        pins.pin(other, "shared")
        with pytest.raises(api.ValueUnfit) as refused:
            opened().load(pins=pins)
        assert str(refused.value) == (
            f"<object>: map shared: couldn't reuse the pinned map 'shared': parameter mismatch: {reason}\n"
            "  hint: declare it alike, give it another `pin_name`, or unpin the other"
        )
        assert list(pins) == ["shared"]


def test_another_number_of_workers_is_refused() -> None:
    with Pins() as pins, opened().load(pins=pins), pytest.raises(api.ValueUnfit, match="one of 1 workers, not 2"):
        opened().load(pins=pins, workers=2)


def test_a_load_that_fails_pins_nothing() -> None:
    bad = SHARED.replace("if ((known = bpf_map_lookup_elem(&own, &key))) *known += 1;", "known = 0; *known += 1;")
    with Pins() as pins:
        with pytest.raises(Rejected):
            opened(bad).load(pins=pins)
        assert list(pins) == []


def test_two_maps_of_an_object_have_two_names() -> None:
    found = opened()
    found.maps["own"].pin_name = "shared"
    with Pins() as pins, pytest.raises(api.ValueUnfit, match="the maps 'shared' and 'own' are both pinned as 'shared'"):
        found.load(pins=pins)


def test_maps_in_a_pinned_map_of_maps_live_with_it() -> None:
    with Pins() as pins:
        with opened(NESTED).load(pins=pins) as first:
            first.programs["count"].test_run(FRAME, repeat=2)
            inner = first.maps["first"]
        outer = pins["outer"]
        assert isinstance(outer, MapOfMaps)
        assert outer[KEY] is inner
        with opened(NESTED).load(pins=pins) as second:
            assert second.maps["first"] is not inner
            second.programs["count"].test_run(FRAME)
        assert number(inner.lookup(KEY)) == 3
    assert inner.closed


def test_a_pinned_map_of_other_maps_is_refused() -> None:
    refused = r"it holds maps like 'outer\.inner', which has type hash, and lru_hash is declared"
    with Pins() as pins, opened(NESTED).load(pins=pins):
        other = opened(NESTED.replace("MAP(BPF_MAP_TYPE_HASH)", "MAP(BPF_MAP_TYPE_LRU_HASH)"))
        with pytest.raises(api.ValueUnfit, match=refused):
            other.load(pins=pins)
