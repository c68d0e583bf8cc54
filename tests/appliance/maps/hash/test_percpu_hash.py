"""Per-CPU hashes from the control plane, and what all hashes can do in batches."""

from __future__ import annotations

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import EntryExists, Flag, MapFrozen, MapFull, NoSuchEntry, OperationRefused, open_map
from tests.appliance.maps.native import NativeMap

TYPES = [MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH]


@pytest.mark.parametrize("type_", TYPES)
def test_every_processor_has_a_value(type_: MapType) -> None:
    with open_map(MapSpec("sums", type_, 4, 3, 8), processors=3) as sums:
        sums.update(b"key1", b"all", Flag.NOEXIST)
        assert sums.lookup_all(b"key1") == [b"all"] * 3
        with pytest.raises(EntryExists):
            sums.update(b"key1", b"new", Flag.NOEXIST)
        with pytest.raises(NoSuchEntry):
            sums.update(b"key2", b"new", Flag.EXIST)
        sums.update_all(b"key1", [b"one", b"two", b"thr"])
        assert sums.lookup(b"key1", 1) == b"two"
        assert list(sums.items()) == [(b"key1", b"onetwothr")]
        with pytest.raises(OperationRefused, match=r"^map 'sums': 2 values: it has 3 of each key$"):
            sums.update_all(b"key1", [b"one", b"two"])
        assert sums.lookup_and_delete(b"key1") == b"onetwothr"
        assert (sums.lookup_all(b"key1"), sums.lookup_and_delete(b"key1"), len(sums)) == ([], None, 0)


@pytest.mark.parametrize("type_", TYPES)
def test_what_one_processor_puts_in_anew_is_zero_for_the_others(type_: MapType) -> None:
    """Also where the element was another entry's before."""
    with NativeMap(MapSpec("sums", type_, 4, 8, 1), processors=3) as sums:
        sums.map.update(b"old ", b"leftover")
        assert sums.map.delete(b"old ")
        assert sums.update(b"new ", b"from one", processor=1) == 0
        assert sums.map.lookup_all(b"new ") == [bytes(8), b"from one", bytes(8)]
        assert sums.update(b"new ", b"from two", processor=2) == 0
        assert sums.map.lookup_all(b"new ") == [bytes(8), b"from one", b"from two"]


def test_per_cpu_arrays_take_one_value_for_each() -> None:
    with open_map(MapSpec("sums", MapType.PERCPU_ARRAY, 4, 3, 2), processors=2) as sums:
        sums.update_all(bytes(4), [b"one", b"two"])
        assert sums.lookup_all(bytes(4)) == [b"one", b"two"]


def test_batches_see_everything_once() -> None:
    entries = [(number.to_bytes(4, "little"), number.to_bytes(4, "big")) for number in range(100)]
    with open_map(MapSpec("flows", MapType.HASH, 4, 4, 100)) as flows:
        assert flows.update_batch(entries) == 100
        seen, position = flows.lookup_batch(33)
        while position is not None:
            more, position = flows.lookup_batch(33, position)
            seen += more
        assert sorted(seen) == sorted(entries)
        assert flows.delete_batch([entries[0][0], b"none", entries[1][0]]) == 2
        taken = flows.lookup_and_delete_batch(50)
        assert (len(taken), len(flows)) == (50, 48)
        taken += flows.lookup_and_delete_batch(50)
        assert (sorted(taken), flows.lookup_and_delete_batch(50)) == (sorted(entries[2:]), [])


def test_a_batch_ends_at_the_first_error() -> None:
    with open_map(MapSpec("flows", MapType.HASH, 4, 4, 2)) as flows:
        with pytest.raises(MapFull):
            flows.update_batch((number.to_bytes(4, "little"), b"four") for number in range(5))
        assert len(flows) == 2


def test_a_frozen_hash_is_still_read() -> None:
    with open_map(MapSpec("flows", MapType.HASH, 4, 4, 2)) as flows:
        flows.update(b"key1", b"four")
        flows.freeze()
        for change in (
            lambda: flows.update(b"key1", b"five"),
            lambda: flows.delete(b"key1"),
            lambda: flows.lookup_and_delete(b"key1"),
            flows.clear,
        ):
            with pytest.raises(MapFrozen, match=r"^map 'flows': it is frozen: only programs may change it$"):
                change()
        assert flows.lookup(b"key1") == b"four"


def test_only_hashes_look_up_and_delete() -> None:
    with (
        open_map(MapSpec("m", MapType.ARRAY, 4, 4, 2)) as array,
        pytest.raises(OperationRefused, match=r"^map 'm': a map of type array has no lookup_and_delete"),
    ):
        array.lookup_and_delete(bytes(4))
