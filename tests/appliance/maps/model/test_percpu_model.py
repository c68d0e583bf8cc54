"""Per-CPU maps of three processors against the model of a map whose value is the three values side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import Flag, MapError, model
from appliance.maps.model.map import ModelMap
from tests.appliance.maps.native import NativeMap

PROCESSORS, SIZE = 3, 5
KINDS = {
    MapType.PERCPU_ARRAY: MapSpec("m", MapType.PERCPU_ARRAY, 4, SIZE, 4),
    MapType.PERCPU_HASH: MapSpec("m", MapType.PERCPU_HASH, 4, SIZE, 4),
    MapType.LRU_PERCPU_HASH: MapSpec("m", MapType.LRU_PERCPU_HASH, 4, SIZE, 4),
}
keys = st.integers(0, 6).map(lambda number: number.to_bytes(4, "little"))
values = st.binary(min_size=SIZE, max_size=SIZE)
processors = st.integers(0, PROCESSORS - 1)
flags = st.sampled_from([Flag.ANY, Flag.ANY, Flag.NOEXIST, Flag.EXIST])


def part(value: bytes, processor: int) -> bytes:
    return value[SIZE * processor : SIZE * (processor + 1)]


def machine_for(spec: MapSpec) -> type[RuleBasedStateMachine]:
    class Twins(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.native = NativeMap(spec, PROCESSORS)
            self.model = model(replace(spec, value_size=SIZE * PROCESSORS))

        def teardown(self) -> None:
            self.native.map.close()

        @rule(key=keys, value=values, processor=processors, flag=flags)
        def a_program_updates(self, key: bytes, value: bytes, processor: int, flag: Flag) -> None:
            """Its own value alone; the others of a new entry are zero."""
            known = ModelMap.lookup(self.model, key) or bytes(SIZE * PROCESSORS)
            whole = known[: SIZE * processor] + value + known[SIZE * (processor + 1) :]
            assert self.native.update(key, value, flag, processor) == self.model.update(key, bytes(whole), flag)

        @rule(key=keys, value=values, flag=flags)
        def python_updates_all_alike(self, key: bytes, value: bytes, flag: Flag) -> None:
            self._same(lambda: self.native.map.update(key, value, flag), key, value * PROCESSORS, flag)

        @rule(key=keys, each=st.lists(values, min_size=PROCESSORS, max_size=PROCESSORS), flag=flags)
        def python_updates_each(self, key: bytes, each: list[bytes], flag: Flag) -> None:
            self._same(lambda: self.native.map.update_all(key, each, flag), key, b"".join(each), flag)

        @rule(key=keys, processor=processors)
        def look(self, key: bytes, processor: int) -> None:
            """A program, whose use counts; and Python, whose doesn't."""
            known = self.model.lookup(key)
            found = self.native.map.lookup(key, processor)
            assert found == (None if known is None else part(bytes(known), processor))
            assert self.native.lookup(key) == (None if known is None else part(bytes(known), 0))

        @rule(key=keys)
        def delete(self, key: bytes) -> None:
            assert self.native.delete(key) == self.model.delete(key)

        @rule(key=keys)
        def take(self, key: bytes) -> None:
            if spec.type is not MapType.PERCPU_ARRAY:
                known = self.model.lookup_and_delete(key)
                assert self.native.map.lookup_and_delete(key) == (None if known is None else bytes(known))

        @invariant()
        def the_entries_are_the_same(self) -> None:
            known = {key: bytes(ModelMap.lookup(self.model, key) or b"") for key in list(self.model.keys())}
            nothing = bytes(SIZE * PROCESSORS)
            assert dict(self.native.map.items()) == {key: value or nothing for key, value in known.items()}
            assert len(self.native.map) == len(self.model)

        def _same(self, update: Callable[[], None], key: bytes, whole: bytes, flag: Flag) -> None:
            status = self.model.update(key, whole, flag)
            try:
                update()
                assert status == 0
            except MapError:
                assert status != 0

    return Twins


@pytest.mark.parametrize("type_", KINDS)
def test_native_and_model_agree(type_: MapType) -> None:
    run_state_machine_as_test(
        machine_for(KINDS[type_]), settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )
