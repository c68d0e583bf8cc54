"""What an LRU hash gives up when it is full, and what it keeps."""

from __future__ import annotations

import ctypes
import errno
from dataclasses import replace

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import Flag, model
from appliance.maps.hash.layout import SLOTS, Bucket, HashLayout
from tests.appliance.maps.native import NativeMap

LRU = MapSpec("sources", MapType.LRU_HASH, 4, 4, 4)


def key(number: int) -> bytes:
    return number.to_bytes(4, "big")


def filled(spec: MapSpec = LRU) -> NativeMap:
    sources = NativeMap(spec)
    for number in range(spec.max_entries):
        assert sources.update(key(number), key(number)) == 0
    return sources


def numbers(sources: NativeMap) -> list[int]:
    return sorted(int.from_bytes(known, "big") for known in sources.map)


def test_a_full_map_gives_up_its_oldest_entry() -> None:
    with filled() as sources:
        assert sources.update(key(9), key(9)) == 0
        assert numbers(sources) == [1, 2, 3, 9]
        assert len(sources.map) == 4


def test_a_lookup_saves_an_entry_once() -> None:
    with filled() as sources:
        sources.lookup(key(0))
        sources.update(key(9), key(9))
        assert numbers(sources) == [0, 2, 3, 9]
        for number in (10, 11, 12):  # the hand comes round, and 0 was not used again
            sources.update(key(number), key(number))
        assert numbers(sources) == [9, 10, 11, 12]


def test_an_update_counts_as_use_and_iteration_does_not() -> None:
    with filled() as sources:
        sources.update(key(0), b"used")
        list(sources.map.items())
        sources.update(key(9), key(9))
        assert numbers(sources) == [0, 2, 3, 9]
        assert sources.lookup(key(0)) == b"used"


@pytest.mark.parametrize("type_", [MapType.LRU_HASH, MapType.LRU_PERCPU_HASH])
def test_looking_from_outside_is_no_use(type_: MapType) -> None:
    """Whoever watches a map (a walk, a batch, a lookup) keeps nothing in it."""
    with filled(replace(LRU, type=type_)) as sources:
        sources.lookup(key(1))  # a program
        for number in range(4):
            assert sources.map.lookup(key(number)) == key(number)
        assert len(list(sources.map.items())) == len(sources.map.lookup_batch(10)[0]) == 4
        for number in (9, 10, 11):
            sources.update(key(number), key(number))
        assert numbers(sources) == [1, 9, 10, 11]


def test_if_all_were_used_the_hand_goes_round_once() -> None:
    with filled() as sources:
        for number in range(4):
            sources.lookup(key(number))
        sources.update(key(9), key(9))
        assert numbers(sources) == [1, 2, 3, 9]


def test_a_flood_of_new_keys_does_not_push_out_what_is_used() -> None:
    with filled(MapSpec("sources", MapType.LRU_HASH, 4, 4, 100)) as sources:
        for number in range(1000, 20_000):
            if number % 40 == 0:
                assert all(sources.lookup(key(good)) == key(good) for good in range(10))
            sources.update(key(number), key(number))
        assert len(sources.map) == 100


def test_deleted_entries_make_room_first() -> None:
    with filled() as sources:
        assert sources.delete(key(2)) == 0
        assert sources.delete(key(2)) == -errno.ENOENT
        sources.update(key(9), key(9))
        assert numbers(sources) == [0, 1, 3, 9]


def test_refused_updates_evict_nothing() -> None:
    with filled() as sources:
        assert sources.update(key(9), key(9), Flag.EXIST) == -errno.ENOENT
        assert sources.update(key(1), key(9), Flag.NOEXIST) == -errno.EEXIST
        assert sources.update(key(9), key(9), 3) == -errno.EINVAL
        assert numbers(sources) == [0, 1, 2, 3]


def test_which_entry_goes_does_not_depend_on_the_seeds() -> None:
    """So that replays, and both engines, agree."""
    spec = MapSpec("sources", MapType.LRU_HASH, 4, 4, 50)
    oracle = model(spec)
    with NativeMap(spec) as one, NativeMap(spec) as other:
        for step in range(2000):
            number = step * step % 211
            answers = {map.update(key(number), key(step)) for map in (one, other)}
            assert answers == {oracle.update(key(number), key(step))}
            looked_up = key(step * 7 % 211)
            assert one.lookup(looked_up) == other.lookup(looked_up) == oracle.lookup(looked_up)
        assert sorted(one.map.items()) == sorted(other.map.items())
        assert sorted(one.map.keys()) == sorted(oracle.keys())


def test_entries_stand_in_slots_of_their_own_while_there_is_room() -> None:
    """Four entries for each bucket of seven slots: about four in five, and a lookup finds every one."""
    spec = replace(LRU, max_entries=1000)
    with filled(spec) as sources:
        layout = HashLayout.of(sources.map.shape, referenced=True)
        homes = [
            Bucket.from_address(sources.map.address + layout.buckets + number * ctypes.sizeof(Bucket))
            for number in range(layout.bucket_count)
        ]
        own = sum((word >> 32) * SLOTS >> 32 == lane for home in homes for lane, word in enumerate(home.slots) if word)
        assert 640 < own < 860  # by the map's own seeds: 720 on the average
        assert all(sources.lookup(key(number)) == key(number) for number in range(1000))


def test_what_was_pushed_out_is_counted() -> None:
    with filled() as sources:
        assert sources.map.evicted == 0
        for number in range(9, 15):
            sources.update(key(number), key(number))
        sources.update(key(14), key(1))  # it is there: nobody has to go
        assert sources.map.evicted == 6
    with NativeMap(replace(LRU, type=MapType.HASH)) as other:
        assert other.map.evicted is None
