"""What programs find in maps of maps, and what they do with it: the same in every engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import WINDOWS
from appliance.ebpf.spec import MapSpec
from tests.appliance.jit.support import collection_spec
from tests.appliance.maps.nested.nested import HASH, INNER, STEPS, TYPES, collection, find
from tests.appliance.maps.three_engines import agreed, by_interpreter, by_jit, program
from tests.capabilities import require


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.value)
@pytest.mark.parametrize("inner", INNER)
def test_programs_work_on_what_they_find(inner: str, type_: MapType) -> None:
    require("bpf")
    assert agreed(collection(INNER[inner], type_)) > 31**8  # something was found


def test_on_windows() -> None:
    spec = collection(HASH, MapType.HASH_OF_MAPS)
    windows = replace(spec, platform="windows", programs={"test": program(STEPS, "windows")})
    assert WINDOWS.map_types[6] is MapType.HASH_OF_MAPS
    assert by_jit(windows) == by_interpreter(windows) == by_jit(spec)


def test_queues_and_tries_may_be_in_a_map_of_maps() -> None:
    queue, trie = MapSpec("m.inner", MapType.QUEUE, 0, 8, 3), MapSpec("m.inner", MapType.LPM_TRIE, 8, 8, 3, flags=1)
    for inner, call in ((queue, "call map_pop_elem"), (trie, "call map_delete_elem")):
        tried = f"*(u64 *)(r10 - 32) = 0; r2 = r10; r2 += -32; r1 = r6; {call};"
        steps = [f"{find(1, 'x')} {tried} x: r7 += r0;"]
        spec = replace(collection(inner, MapType.ARRAY_OF_MAPS), programs={"test": program(steps)})
        assert agreed(spec) == (1 << 64) - 2


RING = MapSpec("m.inner", MapType.RINGBUF, 0, 0, 4096)
QUERY = "r1 = r6; r2 = 0; call ringbuf_query; r7 += r0;"
OTHERS = {
    "a record, reserved": (
        RING,
        "r1 = r6; r2 = 8; r3 = 0; call ringbuf_reserve; if r0 == 0 goto x; *(u64 *)(r0 + 0) = 77;"
        f"r1 = r0; r2 = 0; call ringbuf_submit; {QUERY}",
    ),
    "a record, at once": (
        RING,
        f"*(u64 *)(r10 - 32) = 5; r1 = r6; r2 = r10; r2 += -32; r3 = 8; r4 = 0;call ringbuf_output; r7 += r0; {QUERY}",
    ),
    "a port": (MapSpec("m.inner", MapType.DEVMAP, 4, 4, 4), "r1 = r6; r2 = 1; r3 = 2; call redirect_map; r7 += r0;"),
    "a sample that nobody wants": (
        MapSpec("m.inner", MapType.PERF_EVENT_ARRAY, 4, 4, 1),
        "*(u64 *)(r10 - 32) = 5; r1 = r9; r2 = r6; r3 = 0; r4 = r10; r4 += -32; r5 = 8;"
        "call perf_event_output; r7 += r0;",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_maps_without_keys_and_targets_may_be_in_a_map_of_maps(name: str) -> None:
    inner, use = OTHERS[name]
    steps = [f"r9 = r1; {find(1, 'x')} {use} x: r7 *= 31;"]
    spec = replace(collection(inner, MapType.ARRAY_OF_MAPS), programs={"test": program(steps)})
    assert agreed(spec) != 0


EACH = """
    *(u64 *)(r10 - 8) = 0
    *(u32 *)(r10 - 12) = 1
    r2 = r10
    r2 += -12
    r1 = map[m] ll
    call map_lookup_elem
    if r0 == 0 goto out
    r6 = r0
    *(u64 *)(r10 - 24) = 40
    r2 = r10
    r2 += -12
    r3 = r10
    r3 += -24
    r4 = 0
    r1 = r6
    call map_update_elem
    r1 = r6
    r2 = func entry ll
    r3 = r10
    r3 += -8
    r4 = 0
    call for_each_map_elem
    r6 = *(u64 *)(r10 - 8)
    *(u32 *)(r10 - 12) = 0
    r2 = r10
    r2 += -12
    r1 = map[answer] ll
    call map_lookup_elem
    if r0 == 0 goto out
    *(u64 *)(r0 + 0) = r6
    out:
    r0 = 2
    exit
    entry:
    r5 = *(u64 *)(r4 + 0)
    r3 = *(u64 *)(r3 + 0)
    r5 += r3
    r5 += 1
    *(u64 *)(r4 + 0) = r5
    call map_lookup_elem
    if r0 == 0 goto gone
    *(u64 *)(r0 + 0) = 9
    gone:
    r0 = 0
    exit
"""


@pytest.mark.parametrize(("inner", "expected"), [("hash", 41), ("array", 44), ("percpu_hash", 41)])
def test_the_entries_of_what_was_found_are_visited(inner: str, expected: int) -> None:
    """The callback is given the map, and may look into it."""
    spec = collection(INNER[inner], MapType.ARRAY_OF_MAPS)
    spec = replace(spec, programs={"test": collection_spec([], test=EACH).programs["test"]})
    assert agreed(spec) == expected
