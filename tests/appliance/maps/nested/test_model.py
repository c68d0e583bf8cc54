"""Maps of maps against the model: the same maps under the same keys, the same in them, the same answers."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import Flag, Map, MapError, MapOfMaps, model
from appliance.maps.model.nested import ModelMapOfMaps
from tests.appliance.maps.nested.nested import HASH, TYPES, key, outer_of, word


def machine_for(spec: MapSpec) -> type[RuleBasedStateMachine]:
    places, keys = st.integers(0, 5).map(key), st.integers(0, 3).map(key)
    values, flags = st.integers(0, 99).map(word), st.sampled_from([0, 0, 0, 1, 2])

    class Twins(RuleBasedStateMachine):
        """A native map of maps and the model, with six maps in each that go in and out."""

        def __init__(self) -> None:
            super().__init__()
            self.native, oracle = MapOfMaps.open(spec, 1), model(spec)
            assert isinstance(oracle, ModelMapOfMaps)
            self.model = oracle
            self.pairs = [(Map.open(HASH, 1), model(HASH)) for _ in range(6)]

        def teardown(self) -> None:
            for map_, _ in self.pairs:
                map_.close()
            self.native.close()
            assert all(map_.closed for map_, _ in self.pairs)

        @rule(at=places, which=st.integers(0, 5), flags=flags)
        def put(self, at: bytes, which: int, flags: int) -> None:
            map_, twin = self.pairs[which]
            answer = status(lambda: self.native.put(at, map_, Flag(flags)))
            assert answer == spoken(spec, self.model.put(at, twin, flags))

        @rule(at=places)
        def delete(self, at: bytes) -> None:
            assert status(lambda: self.native.__delitem__(at)) == spoken(spec, self.model.delete(at))

        @rule(at=places, key_=keys, value=values)
        def update(self, at: bytes, key_: bytes, value: bytes) -> None:
            map_, twin = self.native.get(at), self.model.inner_map(at)
            assert (map_ is None) == (twin is None)
            if map_ is not None and twin is not None:
                assert status(lambda: map_.update(key_, value)) == twin.update(key_, value)

        @invariant()
        def the_same_maps_hold_the_same(self) -> None:
            assert sorted(self.native.keys()) == sorted(self.model.keys())
            for at, map_ in self.native.maps():
                twin = self.model.inner_map(at)
                assert twin is not None
                assert dict(map_.items()) == {known: twin.lookup(known) for known in list(twin.keys())}

    return Twins


def status(operation: Callable[[], object]) -> int:
    """0 or -errno."""
    try:
        operation()
    except MapError as error:
        return -error.number
    return 0


def spoken(spec: MapSpec, answer: int) -> int:
    """The control plane calls an index beyond an array what it is: no entry."""
    beyond = spec.type is MapType.ARRAY_OF_MAPS and answer == -errno.E2BIG
    return -errno.ENOENT if beyond else answer


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.value)
def test_native_and_model_agree(type_: MapType) -> None:
    run_state_machine_as_test(
        machine_for(outer_of(HASH, type_)), settings=settings(max_examples=40, stateful_step_count=50, deadline=None)
    )
