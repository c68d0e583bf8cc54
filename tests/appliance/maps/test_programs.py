"""Verified programs that work on each of the newer map types: the interpreter, the JIT and Linux give one answer.

A program is a list of steps. Every step folds what its helper answered into r7, and r7 ends in the map `answer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.jit.collection import Collection
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.support import run_loaded, run_loops
from tests.appliance.maps.three_engines import (
    FOLD,
    by_interpreter,
    by_jit,
    check,
    collection_of,
    program,
    told,
    with_value,
)
from tests.capabilities import require

QUEUE, STACK = MapSpec("m", MapType.QUEUE, 0, 8, 3), MapSpec("m", MapType.STACK, 0, 8, 3)
BLOOM = MapSpec("m", MapType.BLOOM_FILTER, 0, 8, 1000)
KEYED = {
    "hash": MapSpec("m", MapType.HASH, 8, 8, 64),
    "lru_hash": MapSpec("m", MapType.LRU_HASH, 8, 8, 1000),
    "percpu_hash": MapSpec("m", MapType.PERCPU_HASH, 8, 8, 2),
    "lru_percpu_hash": MapSpec("m", MapType.LRU_PERCPU_HASH, 8, 8, 1000),
}


def push(number: int, flags: int) -> str:
    return with_value(number, f"r3 = {flags}; call map_push_elem")


def out(helper: str) -> str:
    return with_value(77, f"call {helper}") + f"r0 = *(u64 *)(r10 - 8); {FOLD}"


def update(key: int, number: int, flags: int) -> str:
    value = f"*(u64 *)(r10 - 16) = {number}; r3 = r10; r3 += -16; r4 = {flags};"
    return value + with_value(key, "call map_update_elem")


def through_pointer(label: str, key: int, call: str) -> str:
    """A lookup whose value is read and then counted up."""
    found = f"if r0 == 0 goto no{label}; r1 = *(u64 *)(r0 + 0); r7 += r1; r1 += 1; *(u64 *)(r0 + 0) = r1;"
    head = f"*(u64 *)(r10 - 8) = {key}; r2 = r10; r2 += -8; r1 = map[m] ll;"
    return f"{head} {call}; {found} no{label}: r7 *= 31;"


def on_this_processor(label: str, key: int) -> str:
    return "call get_smp_processor_id; r6 = r0;" + through_pointer(label, key, "r3 = r6; call map_lookup_percpu_elem")


@pytest.fixture(scope="module", autouse=True)
def linux() -> Iterator[None]:
    require("bpf")
    yield


BOUNDED = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FLAGS = st.sampled_from([0, 0, 0, 1, 2, 2, 3, 4])
QUEUE_STEPS = (
    st.builds(push, st.integers(1, 1000), FLAGS) | st.just(out("map_pop_elem")) | st.just(out("map_peek_elem"))
)


@pytest.mark.parametrize("map", [QUEUE, STACK], ids=lambda map: map.type.value)
def test_queues_and_stacks(map: MapSpec) -> None:
    BOUNDED(given(st.lists(QUEUE_STEPS, max_size=16))(lambda steps: check(steps, map)))()


def test_bloom_filters() -> None:
    asked = with_value(1, "call map_peek_elem"), with_value(2, "call map_peek_elem")
    check([*asked, push(1, 0), *asked, push(1, 0), push(9, 1), push(9, 2), *asked, push(2, 0), *asked], BLOOM)


KEYED_STEPS = st.tuples(st.sampled_from(["update", "delete", "lookup", "percpu", "beyond"]), st.integers(1, 3), FLAGS)


def keyed_step(number: int, what: str, key: int, flags: int, percpu: bool) -> str:
    label = f"{number}"
    if what == "update":
        return update(key, 100 + number, flags)
    if what == "delete":
        return with_value(key, "call map_delete_elem")
    if what == "lookup" or not percpu:
        return through_pointer(label, key, "call map_lookup_elem")
    if what == "percpu":
        return on_this_processor(label, key)
    return through_pointer(label, key, "r3 = 1000000; call map_lookup_percpu_elem")


@pytest.mark.parametrize("name", KEYED)
def test_hashes(name: str) -> None:
    map = KEYED[name]
    percpu = map.type in (MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH)

    def agree(choices: list[tuple[str, int, int]]) -> None:
        check([keyed_step(number, *choice, percpu) for number, choice in enumerate(choices)], map)

    BOUNDED(given(st.lists(KEYED_STEPS, max_size=12))(agree))()


@pytest.mark.parametrize("name", KEYED)
def test_what_windows_looks_up_and_deletes(name: str) -> None:
    """The value is the program's to read; the entry is gone."""
    take = [through_pointer(label, 5, "call map_lookup_and_delete_elem") for label in "abc"]
    spec = collection_of(program([take[0], update(5, 42, 0), take[1], take[2]], "windows"), KEYED[name])
    expected = (0 * 31 + 42) * 31 * 31
    assert by_jit(spec) == by_interpreter(spec) == expected


def test_each_processor_has_its_own_value() -> None:
    spec = program([update(1, 40, 0), through_pointer("a", 1, "call map_lookup_elem")])
    other = program([through_pointer("a", 1, "call map_lookup_elem")])
    of_first = program([through_pointer("a", 1, "r3 = 0; call map_lookup_percpu_elem")])
    programs = {"test": spec, "other": replace(other, name="other"), "of_first": replace(of_first, name="of_first")}
    collection = replace(collection_of(spec, KEYED["percpu_hash"]), programs=programs)
    with Collection.load(collection, processors=3, loops=run_loops) as loaded:

        def run(name: str, processor: int) -> int:
            run_loaded(loaded, name, FrameContext(processor_id=processor))
            return told(loaded.maps["answer"].lookup(bytes(4)))

        assert run("test", 1) == 40 * 31
        key = (1).to_bytes(8, "little")
        assert [told(value) for value in loaded.maps["m"].lookup_all(key)] == [0, 41, 0]
        assert [run("other", processor) for processor in (2, 2, 1)] == [0, 31, 41 * 31]
        assert [run("of_first", 1), run("of_first", 2)] == [0, 31]
        assert [told(value) for value in loaded.maps["m"].lookup_all(key)] == [2, 42, 2]
