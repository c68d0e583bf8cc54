"""Maps of maps from Python: what goes in and out, and what does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec, MapSpec
from appliance.jit.collection import Collection
from appliance.maps import (
    EntryExists,
    Flag,
    MapFrozen,
    MapFull,
    MapOfMaps,
    MapRefused,
    NoSuchEntry,
    OperationRefused,
    model,
    open_map,
)
from tests.appliance.maps.nested.nested import HASH, INNER, key, outer_of, word
from tests.appliance.maps.three_engines import ANSWER, program


def test_maps_go_in_and_out(outer: MapOfMaps) -> None:
    with open_map(HASH) as first, open_map(replace(HASH, max_entries=9)) as second:
        outer[key(1)] = first
        outer[key(3)] = second
        assert (outer[key(1)], outer.get(key(3)), outer.get(key(2))) == (first, second, None)
        assert (sorted(outer), len(outer)) == ([key(1), key(3)], 2)
        assert dict(outer.maps()) == {key(1): first, key(3): second}
        outer[key(1)] = second
        del outer[key(3)]
        assert dict(outer.maps()) == {key(1): second}
        assert outer.delete(key(3)) is False
        for absent in (lambda: outer[key(3)], lambda: outer.__delitem__(key(3))):
            with pytest.raises(NoSuchEntry, match=r"^map 'm': there is no entry under that key \(max_entries is 4\)$"):
                absent()
        outer.clear()
        assert len(outer) == 0


def test_flags_and_limits_are_those_of_the_type(outer: MapOfMaps) -> None:
    with open_map(HASH) as map_:
        if outer.spec.type is MapType.ARRAY_OF_MAPS:
            for refused in (Flag.NOEXIST, Flag.EXIST):
                with pytest.raises(OperationRefused):
                    outer.put(key(0), map_, refused)
            for beyond in (lambda: outer.put(key(4), map_), lambda: outer.delete(key(4))):
                with pytest.raises(NoSuchEntry):
                    beyond()
            return
        with pytest.raises(NoSuchEntry):
            outer.put(key(0), map_, Flag.EXIST)
        for at in range(4):
            outer.put(key(at), map_, Flag.NOEXIST)
        with pytest.raises(EntryExists):
            outer.put(key(0), map_, Flag.NOEXIST)
        with pytest.raises(MapFull):
            outer.put(key(9), map_)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (replace(HASH, type=MapType.LRU_HASH), "has type lru_hash, and hash is declared"),
        (replace(HASH, key_size=8), "has key_size 8, and 4 is declared"),
        (replace(HASH, value_size=4), "has value_size 4, and 8 is declared"),
        (replace(HASH, flags=1), "has map_flags 1, and 0 is declared"),
        (replace(HASH, lock=4), "has a lock at byte 4, and None is declared"),
    ],
)
def test_only_maps_as_declared(outer: MapOfMaps, given: MapSpec, reason: str) -> None:
    refused = pytest.raises(OperationRefused, match=f"^map 'm': the map 'mine' {reason}$")
    with open_map(replace(given, name="mine")) as mine, refused:
        outer[key(0)] = mine
    assert len(outer) == 0


def test_sizes_that_the_code_knows_must_be_the_declared_ones() -> None:
    with open_map(outer_of(INNER["array"])) as outer, open_map(replace(INNER["array"], max_entries=5)) as longer:
        assert isinstance(outer, MapOfMaps)
        with pytest.raises(OperationRefused, match="has max_entries 5, and 4 is declared"):
            outer[key(0)] = longer


def test_workers_must_be_as_many(outer: MapOfMaps) -> None:
    with open_map(HASH, processors=2) as wide, pytest.raises(OperationRefused, match="is one of 2 workers, not 1"):
        outer[key(0)] = wide


def test_bytes_are_no_maps(outer: MapOfMaps) -> None:
    with open_map(HASH) as map_:
        outer[key(0)] = map_
        for use in (
            lambda: outer.lookup(key(0)),
            lambda: outer.update(key(0), bytes(4)),
            lambda: outer.update_all(key(0), [bytes(4)]),
            lambda: list(outer.items()),
            lambda: outer.lookup_batch(3),
            lambda: outer.update_batch([(key(0), bytes(4))]),
            lambda: outer.delete_batch([key(0)]),
            lambda: outer.lookup_and_delete_batch(3),
            lambda: outer.lookup_and_delete(key(0)),
        ):
            with pytest.raises(OperationRefused) as refused:
                use()
            assert refused.value.hint == "its values are maps: read and write map[key]"
        assert outer[key(0)] is map_


def test_a_frozen_one_stays_as_it_is(outer: MapOfMaps) -> None:
    with open_map(HASH) as map_:
        outer[key(0)] = map_
        outer.freeze()
        for change in (lambda: outer.put(key(1), map_), lambda: outer.delete(key(0))):
            with pytest.raises(MapFrozen):
                change()
        map_.update(key(5), word(6))
        assert outer[key(0)].lookup(key(5)) == word(6)


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        (replace(outer_of(HASH), inner=None), "nothing says what the maps in it are like"),
        (outer_of(outer_of(HASH)), "it holds maps of type array_of_maps"),
        (outer_of(replace(HASH, type=MapType.PROG_ARRAY)), "it holds maps of type prog_array"),
        (replace(outer_of(HASH), value_size=8), "a value of 8 bytes"),
        (replace(outer_of(HASH), key_size=8), "a key of 8 bytes"),
        (replace(outer_of(HASH), flags=1 << 7), "map_flags 0x80 mean nothing here"),
        (outer_of(replace(HASH, key_size=0)), "a key of 0 bytes"),
        (
            replace(outer_of(HASH, MapType.HASH_OF_MAPS, ((0, "x"),)), key_size=8),
            "initial values under keys of 8 bytes",
        ),
    ],
)
def test_declarations_that_no_map_can_be_made_of(spec: MapSpec, what: str) -> None:
    for door in (open_map, model):
        with pytest.raises(MapRefused, match=f": {what}\n"):
            door(spec)


def test_names_of_maps_in_maps_mean_one_thing() -> None:
    maps: Mapping[str, MapSpec] = {"m": outer_of(HASH), "m.inner": replace(HASH, name="m.inner")}
    spec = CollectionSpec("t.o", "linux", {"test": program([])}, {**maps, "answer": ANSWER})
    with pytest.raises(Exception, match=r"the maps in 'm' are called 'm.inner', and so is another map"):
        Collection.load(spec)
