"""The models of maps against Linux's own: what is an error to one is the same error to the other.

Of LRU hashes the kernel gives up other entries, and its per-CPU maps have as many values as the machine has
processors; those are not here.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import model
from appliance.maps.model.map import ModelMap
from tests.appliance.maps.test_against_model import QUEUES, SPECS, keys_of
from tests.kernel_maps import KernelMap
from tests.programs.kernel import needs_kernel

NO_PREALLOC = 1  # the kernel's tries have no other way
COMMON = (MapType.HASH, MapType.ARRAY, MapType.LPM_TRIE)
KEYED = {
    name: replace(spec, flags=NO_PREALLOC if spec.type is MapType.LPM_TRIE else 0)
    for name, spec in SPECS.items()
    if spec.type in COMMON and spec.lock is None  # the kernel would ask for types
}


def machine_for(spec: MapSpec) -> type[RuleBasedStateMachine]:
    keys, values = keys_of(spec), st.binary(min_size=spec.value_size, max_size=spec.value_size)

    def meant(key: bytes) -> bytes:
        """Bits behind a prefix mean nothing. The kernel gives them back as they came, and ours are zero."""
        if spec.type is not MapType.LPM_TRIE:
            return key
        behind = 8 * (spec.key_size - 4) - int.from_bytes(key[:4], "little")
        return key[:4] + (int.from_bytes(key[4:], "big") >> behind << behind).to_bytes(spec.key_size - 4, "big")

    class Twins(RuleBasedStateMachine):
        """The kernel's map and the model, side by side."""

        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.model = KernelMap(spec), model(spec)

        def teardown(self) -> None:
            self.kernel.close()

        @rule(key=keys, value=values, flags=st.sampled_from([0, 0, 0, 1, 2, 3]))
        def update(self, key: bytes, value: bytes, flags: int) -> None:
            assert self.kernel.update(key, value, flags) == self.model.update(key, value, flags)

        @rule(key=keys)
        def delete(self, key: bytes) -> None:
            assert self.kernel.delete(key) == self.model.delete(key)

        @rule(key=keys)
        def lookup_and_delete(self, key: bytes) -> None:
            if spec.type is MapType.HASH:
                assert self.kernel.lookup_and_delete(key) == self.model.lookup_and_delete(key)

        @rule(key=keys)
        def lookup(self, key: bytes) -> None:
            assert self.kernel.lookup(key) == self.model.lookup(key)

        @invariant()
        def the_entries_are_the_same(self) -> None:
            keys = list(self.model.keys())
            assert sorted(map(meant, self.kernel.keys())) == sorted(keys)
            for key in keys:
                assert self.kernel.lookup(key) == bytes(ModelMap.lookup(self.model, key) or bytes(spec.value_size))

    return Twins


def queue_machine_for(spec: MapSpec) -> type[RuleBasedStateMachine]:
    class Twins(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.model = KernelMap(spec), model(spec)

        def teardown(self) -> None:
            self.kernel.close()

        @rule(
            value=st.binary(min_size=spec.value_size, max_size=spec.value_size),
            flags=st.sampled_from([0, 0, 0, 1, 2, 2, 3, 4, 1 << 32, (1 << 64) - 1]),
        )
        def push(self, value: bytes, flags: int) -> None:
            assert self.kernel.push(value, flags) == self.model.push(value, flags)

        @rule()
        def pop(self) -> None:
            assert self.kernel.pop() == self.model.pop()

        @invariant()
        def the_next_is_the_same(self) -> None:
            assert self.kernel.peek() == self.model.peek()

    return Twins


@needs_kernel
@pytest.mark.parametrize("name", KEYED)
def test_kernel_and_model_agree(name: str) -> None:
    run_state_machine_as_test(
        machine_for(KEYED[name]), settings=settings(max_examples=40, stateful_step_count=50, deadline=None)
    )


@needs_kernel
@pytest.mark.parametrize("name", QUEUES)
def test_kernel_and_model_queues_agree(name: str) -> None:
    run_state_machine_as_test(
        queue_machine_for(QUEUES[name]), settings=settings(max_examples=40, stateful_step_count=50, deadline=None)
    )
