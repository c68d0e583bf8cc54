"""Many entries in one call: the same as one by one, in whatever order, and while threads work on the map."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance.ebpf.map_types import REDIRECT_MAPS, MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import (
    EntryExists,
    Flag,
    MapError,
    MapFrozen,
    MapFull,
    NoSuchEntry,
    OperationRefused,
    model,
    open_map,
)
from appliance.maps.control.batches import CHUNK, chunk_of
from appliance.maps.model.map import ModelMap
from tests.appliance.maps.churning import Crew
from tests.appliance.maps.native import NativeMap
from tests.appliance.maps.test_against_model import HASHES, SPECS, keys_of
from tests.appliance.maps.test_threads import check_at_rest, entries, opened


def machine_for(spec: MapSpec) -> type[RuleBasedStateMachine]:
    values = st.binary(min_size=spec.value_size, max_size=spec.value_size)
    keys = st.lists(keys_of(spec), max_size=12)
    pairs = st.lists(st.tuples(keys_of(spec), values), max_size=12)
    counts = st.integers(0, 2 * spec.max_entries)

    class Twins(RuleBasedStateMachine):
        """The native map in batches, and the model one by one."""

        def __init__(self) -> None:
            super().__init__()
            self.native, self.model = NativeMap(spec), model(spec)
            self.map = self.native.map
            self.map._chunk = 5  # so that batches have several parts

        def teardown(self) -> None:
            self.map.close()

        @rule(entries=pairs, flags=st.sampled_from([Flag.ANY, Flag.ANY, Flag.NOEXIST, Flag.EXIST]))
        def update(self, entries: list[tuple[bytes, bytes]], flags: Flag) -> None:
            statuses = (self.model.update(key, value, flags) for key, value in entries)
            failure = next((status for status in statuses if status != 0), 0)
            try:
                assert self.map.update_batch(iter(entries), flags) == len(entries)
                assert failure == 0
            except MapError as error:
                assert failure, error

        @rule(keys=keys)
        def delete(self, keys: list[bytes]) -> None:
            statuses = []
            for key in keys:
                statuses.append(self.model.delete(key))
                if statuses[-1] == -22:  # EINVAL: an array, a prefix that is too long
                    with pytest.raises(OperationRefused):
                        self.map.delete_batch(keys)
                    return
            assert self.map.delete_batch(keys) == statuses.count(0)

        @rule(count=counts)
        def take(self, count: int) -> None:
            if spec.type not in HASHES:
                with pytest.raises(OperationRefused, match="has no"):
                    self.map.lookup_and_delete_batch(1)
                return
            taken = self.map.lookup_and_delete_batch(count)
            assert len(taken) == min(count, len(self.model))
            for key, value in taken:
                assert self.model.lookup_and_delete(key) == value

        @rule(count=st.integers(1, 7))
        def read_in_parts(self, count: int) -> None:
            seen, position = self.map.lookup_batch(count)
            while position is not None:
                assert len(seen) % count == 0
                part, position = self.map.lookup_batch(count, position)
                assert len(part) <= count
                seen += part
            assert seen == list(self.map.items())

        @invariant()
        def the_entries_are_the_same(self) -> None:
            found = list(self.map.items())
            assert len(found) == len(self.map) == len(self.model)
            keys = self.model.keys()
            known = {key: ModelMap.lookup(self.model, key) for key in keys}
            assert dict(found) == {key: bytes(value or bytes(spec.value_size)) for key, value in known.items()}

    return Twins


@pytest.mark.parametrize("name", SPECS)
def test_native_batches_and_model_agree(name: str) -> None:
    run_state_machine_as_test(
        machine_for(SPECS[name]), settings=settings(max_examples=25, stateful_step_count=30, deadline=None)
    )


@pytest.mark.parametrize("name", SPECS)
def test_a_frozen_map_takes_no_batches(name: str) -> None:
    spec = SPECS[name]
    key, value = (1).to_bytes(spec.key_size, "little"), bytes(spec.value_size)
    with NativeMap(spec) as native:
        native.map.update(key, value)
        native.map.freeze()
        changes: list[Any] = [
            lambda: native.map.update_batch([(key, value)]),
            lambda: native.map.delete_batch([key]),
            lambda: native.map.lookup_and_delete_batch(1),
            lambda: native.map.update(key, value),
        ]
        for change in changes:
            with pytest.raises(MapFrozen):
                change()
        assert native.update(key, value) == 0, "programs still may"
        assert (key, value) in native.map.lookup_batch(spec.max_entries)[0]


def test_what_came_before_an_error_stays() -> None:
    numbers = [(n.to_bytes(4, "little"), bytes(4)) for n in range(3 * CHUNK)]
    with open_map(MapSpec("m", MapType.HASH, 4, 4, 2 * CHUNK + 5)) as flows:
        with pytest.raises(MapFull):
            flows.update_batch(numbers)
        assert sorted(flows) == sorted(key for key, _ in numbers[: 2 * CHUNK + 5])
        with pytest.raises(OperationRefused, match="a key of 3 bytes where 4 are declared"):
            flows.delete_batch([numbers[0][0], b"abc", numbers[1][0]])
        assert numbers[0][0] not in list(flows)
        with pytest.raises(OperationRefused, match="a value of 5 bytes where 4 are declared"):
            flows.update_batch([numbers[0], (numbers[1][0], bytes(5))])
        with pytest.raises(EntryExists):
            flows.update_batch(numbers[:1], Flag.NOEXIST)
        with pytest.raises(NoSuchEntry):
            flows.update_batch([(b"none", bytes(4))], Flag.EXIST)
        assert len(flows) == 2 * CHUNK + 5


def test_every_processor_gets_the_value() -> None:
    with open_map(MapSpec("m", MapType.PERCPU_HASH, 4, 3, 8), processors=2) as sums:
        assert sums.update_batch([(b"key1", b"one"), (b"key2", b"two")]) == 2
        assert sorted(sums.lookup_batch(9)[0]) == [(b"key1", b"oneone"), (b"key2", b"twotwo")]
        assert sorted(sums.lookup_and_delete_batch(9)) == [(b"key1", b"oneone"), (b"key2", b"twotwo")]


def test_large_values_come_in_small_parts() -> None:
    assert [chunk_of(size) for size in (1, 1 << 10, 1 << 16, 1 << 30)] == [CHUNK, CHUNK, 16, 1]


def test_a_million_bytes_per_value() -> None:
    spec = MapSpec("m", MapType.ARRAY, 4, 1_000_000, 3)
    with open_map(spec) as large:
        large.update((2).to_bytes(4, "little"), b"x" * 1_000_000)
        assert [value[:1] for _, value in large.items()] == [b"\0", b"\0", b"x"]


@pytest.mark.parametrize("type_", [type_ for type_ in HASHES if type_ not in REDIRECT_MAPS])
def test_what_threads_take_was_put_in_once(type_: MapType) -> None:
    """Two threads put entries in, two take them out, all in batches: every entry is taken once, with its value."""
    each = 20_000
    with open_map(MapSpec("m", type_, 8, 16, 4 * each)) as flows:
        taken: list[list[tuple[bytes, bytes]]] = [[], []]
        done = threading.Event()

        def put(number: int) -> None:
            known = entries(each, 8, start=number * each)
            for start in range(0, each, 700):
                flows.update_batch(known[start : start + 700], Flag.NOEXIST)

        def take(mine: list[tuple[bytes, bytes]]) -> None:
            while not done.is_set():
                mine += flows.lookup_and_delete_batch(500)

        takers = [threading.Thread(target=take, args=(mine,)) for mine in taken]
        putters = [threading.Thread(target=put, args=(number,)) for number in range(2)]
        for thread in (*takers, *putters):
            thread.start()
        for thread in putters:
            thread.join()
        done.set()
        for thread in takers:
            thread.join()
        left = flows.lookup_and_delete_batch(2 * each)
        assert sorted([*taken[0], *taken[1], *left]) == sorted(entries(2 * each, 8))
        assert len(flows) == 0


def test_max_entries_is_exact_for_batches_of_threads() -> None:
    with open_map(MapSpec("m", MapType.HASH, 8, 16, 10_000)) as flows:
        full = []

        def put(number: int) -> None:
            try:
                flows.update_batch(entries(6_000, 8, start=6_000 * number))
            except MapFull:
                full.append(number)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(flows) == len(dict(flows.items())) == 10_000
        assert full


@pytest.mark.parametrize("type_", [MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH, MapType.HASH])
def test_batches_beside_native_threads(type_: MapType) -> None:
    """Programs insert and delete while the control plane reads, puts in and takes out."""
    crew: Crew = opened(MapSpec("m", type_, 8, 16, 600))
    known = entries(500, 8)
    values = dict(known)

    def meanwhile() -> None:
        assert all(values[key] == value for key, value in crew.map.lookup_and_delete_batch(20))
        crew.map.update_batch(known[:50])
        assert all(values[key] == value for key, value in crew.map.lookup_batch(600)[0])

    with crew.map:
        crew.churn(known, 300_000)
        crew.churn(known, 300_000)
        crew.run(meanwhile)
        check_at_rest(crew, known)
