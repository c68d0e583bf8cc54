"""Every kind of map against its model: the same answers to the same operations, whatever their order."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance.ebpf.map_types import KERNEL_MAPS, MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import KINDS, MODELS, model
from tests.appliance.maps.native import NativeMap

SPECS = {
    "array": MapSpec("m", MapType.ARRAY, 4, 5, 6),
    "percpu_array": MapSpec("m", MapType.PERCPU_ARRAY, 4, 12, 6),
    "hash": MapSpec("m", MapType.HASH, 3, 4, 9),
    "array with a lock": MapSpec("m", MapType.ARRAY, 4, 10, 3, lock=4),
    "hash with a lock": MapSpec("m", MapType.HASH, 3, 16, 9, lock=0),
    "hash of one": MapSpec("m", MapType.HASH, 16, 8, 1),
    "hash with long keys": MapSpec("m", MapType.HASH, 77, 1, 40),
    "lru_hash": MapSpec("m", MapType.LRU_HASH, 8, 3, 7),
    "lru_hash of one": MapSpec("m", MapType.LRU_HASH, 5, 8, 1),
    "percpu_hash": MapSpec("m", MapType.PERCPU_HASH, 3, 4, 9),
    "lru_percpu_hash": MapSpec("m", MapType.LRU_PERCPU_HASH, 8, 3, 7),
    "lpm_trie of bytes": MapSpec("m", MapType.LPM_TRIE, 5, 8, 12),
    "lpm_trie of IPv4": MapSpec("m", MapType.LPM_TRIE, 8, 4, 30),
    "lpm_trie of IPv6": MapSpec("m", MapType.LPM_TRIE, 20, 8, 200),
    "lpm_trie of 27 bytes": MapSpec("m", MapType.LPM_TRIE, 31, 2, 20),
}

REDIRECTS = {
    "devmap": MapSpec("m", MapType.DEVMAP, 4, 8, 6),
    "devmap of 4 bytes": MapSpec("m", MapType.DEVMAP, 4, 4, 6),
    "cpumap": MapSpec("m", MapType.CPUMAP, 4, 8, 6),
    "devmap_hash": MapSpec("m", MapType.DEVMAP_HASH, 4, 8, 6),
    "devmap_hash of 4 bytes": MapSpec("m", MapType.DEVMAP_HASH, 4, 4, 6),
    "xskmap": MapSpec("m", MapType.XSKMAP, 4, 4, 6),
}

QUEUES = {
    "queue": MapSpec("m", MapType.QUEUE, 0, 5, 6),
    "queue of one": MapSpec("m", MapType.QUEUE, 0, 8, 1),
    "stack": MapSpec("m", MapType.STACK, 0, 12, 5),
    "stack of one": MapSpec("m", MapType.STACK, 0, 1, 1),
}
FILTER = MapSpec("m", MapType.BLOOM_FILTER, 0, 3, 40)
HASHES = (
    MapType.HASH,
    MapType.LRU_HASH,
    MapType.PERCPU_HASH,
    MapType.LRU_PERCPU_HASH,
    MapType.DEVMAP_HASH,
)


@st.composite
def prefixes(draw: st.DrawFn, size: int) -> bytes:
    """Keys of a trie: a few kinds of data with some bits turned, so that they share beginnings of every length."""
    longest = 8 * size
    length = draw(st.integers(0, longest) | st.sampled_from([0, 1, longest, longest + 1]))
    data = bytearray(draw(st.sampled_from([b"\x00", b"\xff", b"\x0a"])) * size)
    for bit in draw(st.lists(st.integers(0, longest - 1), max_size=2)):
        data[bit // 8] ^= 0x80 >> bit % 8
    return length.to_bytes(4, "little") + bytes(data)


def keys_of(spec: MapSpec) -> st.SearchStrategy[bytes]:
    """So few keys that the operations meet at them."""
    if spec.type in (MapType.ARRAY, MapType.PERCPU_ARRAY, MapType.DEVMAP, MapType.CPUMAP, MapType.XSKMAP):
        return st.integers(0, spec.max_entries + 1).map(lambda index: index.to_bytes(4, "little"))
    if spec.type is MapType.LPM_TRIE:
        return prefixes(spec.key_size - 4)
    numbers = st.integers(0, 2 * spec.max_entries + 1)
    return numbers.map(lambda number: (number * 0x0101).to_bytes(spec.key_size, "little"))


def values_of(spec: MapSpec) -> st.SearchStrategy[bytes]:
    """Of redirection maps: targets that are there or not, and programs' descriptors of every sign."""
    if spec not in REDIRECTS.values():
        return st.binary(min_size=spec.value_size, max_size=spec.value_size)
    targets = st.sampled_from([0, 1, 7, 192, 16384, 16385, (1 << 32) - 1])
    programs = st.sampled_from([0, 0, 0, -1, 1, -(1 << 31)])
    return st.builds(lambda *pair: struct.pack("=Ii", *pair)[: spec.value_size], targets, programs)


def machine_for(spec: MapSpec) -> type[RuleBasedStateMachine]:
    keys, values = keys_of(spec), values_of(spec)

    class Twins(RuleBasedStateMachine):
        """The native map and the model, side by side."""

        def __init__(self) -> None:
            super().__init__()
            self.native, self.model = NativeMap(spec), model(spec)

        def teardown(self) -> None:
            self.native.map.close()

        @rule(key=keys, value=values, flags=st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]))
        def update(self, key: bytes, value: bytes, flags: int) -> None:
            assert self.native.update(key, value, flags) == self.model.update(key, value, flags)

        @rule(key=keys)
        def delete(self, key: bytes) -> None:
            assert self.native.delete(key) == self.model.delete(key)

        @rule(key=keys)
        def lookup_and_delete(self, key: bytes) -> None:
            if spec.type in HASHES:
                assert self.native.map.lookup_and_delete(key) == self.model.lookup_and_delete(key)

        @rule(key=keys)
        def lookup(self, key: bytes) -> None:
            assert self.native.lookup(key) == self.model.lookup(key)

        @invariant()
        def the_keys_are_the_same(self) -> None:
            keys = list(self.native.map.keys())
            assert sorted(keys) == sorted(self.model.keys())
            assert len(self.native.map) == len(self.model) == len(keys)

    return Twins


def queue_machine_for(spec: MapSpec) -> type[RuleBasedStateMachine]:
    class Twins(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.native, self.model = NativeMap(spec), model(spec)

        def teardown(self) -> None:
            self.native.map.close()

        @rule(
            value=st.binary(min_size=spec.value_size, max_size=spec.value_size),
            flags=st.sampled_from([0, 0, 0, 1, 2, 2, 3, 4, 1 << 32, (1 << 64) - 1]),
        )
        def push(self, value: bytes, flags: int) -> None:
            assert self.native.push(value, flags) == self.model.push(value, flags)

        @rule()
        def pop(self) -> None:
            assert self.native.map.pop() == self.model.pop()

        @invariant()
        def the_next_is_the_same(self) -> None:
            assert self.native.map.peek() == self.model.peek()
            assert len(self.native.map) == len(self.model)

    return Twins


@pytest.mark.parametrize("name", QUEUES)
def test_native_and_model_queues_agree(name: str) -> None:
    run_state_machine_as_test(
        queue_machine_for(QUEUES[name]), settings=settings(max_examples=40, stateful_step_count=50, deadline=None)
    )


@given(st.lists(st.binary(min_size=3, max_size=3), max_size=40))
def test_a_filter_forgets_nothing_that_the_model_knows(values: list[bytes]) -> None:
    oracle = model(FILTER)
    with NativeMap(FILTER) as native:
        for value in values:
            assert native.push(value) == oracle.push(value) == 0
            assert native.map.may_hold(value)
            assert oracle.may_hold(value)
        assert len(native.map) <= len(oracle)


KEYED = SPECS | REDIRECTS


@pytest.mark.parametrize("name", KEYED)
def test_native_and_model_agree(name: str) -> None:
    run_state_machine_as_test(
        machine_for(KEYED[name]),
        settings=settings(max_examples=40, stateful_step_count=50, deadline=None),
    )


def test_every_kind_has_a_model_and_a_case_here() -> None:
    rings = {MapType.RINGBUF, MapType.PERF_EVENT_ARRAY}  # test_ringbuf, test_perf_event_array
    others = {MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS, *rings}  # test_nested_model
    others |= {MapType.PROG_ARRAY}  # test_tail_calls
    here = {spec.type for spec in (*KEYED.values(), *QUEUES.values(), FILTER)}
    assert set(KINDS) == set(MODELS) == here | others
    assert set(MapType) - KERNEL_MAPS == set(KINDS), "a type is one of ours, or one of those that only a kernel has"
