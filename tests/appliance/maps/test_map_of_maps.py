"""Maps of maps: what programs find in them, what goes in and out from Python, and how long the maps in them live."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.platform import WINDOWS
from appliance.ebpf.spec import CollectionSpec, MapSpec, MapType
from appliance.helpers.python import python_helpers
from appliance.jit.collection import Collection
from appliance.maps import (
    EntryExists,
    Flag,
    Map,
    MapError,
    MapFrozen,
    MapFull,
    MapOfMaps,
    MapRefused,
    NoSuchEntry,
    OperationRefused,
    model,
    models,
    open_map,
)
from appliance.maps.model_nested import ModelMapOfMaps
from hooks.xdp import FrameContext
from tests.appliance.jit.support import collection_spec, run_loaded, run_loops
from tests.appliance.maps.test_programs import program
from tests.appliance.verifier import kernel

ANSWER = MapSpec("answer", MapType.ARRAY, 4, 8, 1)
TYPES = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)
INNER = {
    "hash": MapSpec("m.inner", MapType.HASH, 4, 8, 4),
    "lru_hash": MapSpec("m.inner", MapType.LRU_HASH, 4, 8, 1000),
    "array": MapSpec("m.inner", MapType.ARRAY, 4, 8, 4),
    "percpu_array": MapSpec("m.inner", MapType.PERCPU_ARRAY, 4, 8, 4),
    "percpu_hash": MapSpec("m.inner", MapType.PERCPU_HASH, 4, 8, 4),
    "lru_percpu_hash": MapSpec("m.inner", MapType.LRU_PERCPU_HASH, 4, 8, 1000),
}
HASH = INNER["hash"]


def key(number: int) -> bytes:
    return number.to_bytes(4, "little")


def word(number: int) -> bytes:
    return number.to_bytes(8, "little")


def number(value: bytes | bytearray | memoryview | None) -> int:
    assert value is not None
    return int.from_bytes(value, "little")


def outer_of(
    inner: MapSpec, type_: MapType = MapType.ARRAY_OF_MAPS, values: tuple[tuple[int, str], ...] = ()
) -> MapSpec:
    return MapSpec("m", type_, 4, 4, 4, inner=inner, values=values)


def find(at: int, label: str) -> str:
    """r6 = the map under `at`, or on to the label."""
    looked_up = f"*(u32 *)(r10 - 20) = {at}; r2 = r10; r2 += -20; r1 = map[m] ll; call map_lookup_elem;"
    return f"{looked_up} if r0 == 0 goto {label}; r6 = r0;"


def put(at: int, key_: int, value: int, label: str) -> str:
    """Update in the map under `at`; r7 takes the answer in."""
    arguments = f"*(u32 *)(r10 - 24) = {key_}; *(u64 *)(r10 - 32) = {value}; r2 = r10; r2 += -24;"
    arguments += "r3 = r10; r3 += -32;"
    return f"{find(at, label)} {arguments} r4 = 0; r1 = r6; call map_update_elem; {label}: r7 *= 31; r7 += r0;"


def read(at: int, key_: int, label: str) -> str:
    """Look up in the map under `at`; r7 takes the value in, and the value counts up."""
    looked_up = f"*(u32 *)(r10 - 24) = {key_}; r2 = r10; r2 += -24; r1 = r6; call map_lookup_elem;"
    found = f"if r0 == 0 goto {label}; r1 = *(u64 *)(r0 + 0); r7 += r1; r1 += 1; *(u64 *)(r0 + 0) = r1;"
    return f"{find(at, label)} {looked_up} {found} {label}: r7 *= 31;"


STEPS = [
    put(1, 2, 77, "a"),
    read(1, 2, "b"),
    read(1, 2, "c"),
    read(0, 2, "d"),
    put(3, 2, 5, "e"),
    read(1, 9, "f"),
    put(0, 2, 400, "g"),
    read(0, 2, "h"),
    read(1, 2, "i"),
]


def collection(inner: MapSpec, type_: MapType) -> CollectionSpec:
    """`first` at 1 and `second` at 0; nothing at 2 and 3."""
    maps = {
        "m": outer_of(inner, type_, ((0, "second"), (1, "first"))),
        "first": replace(inner, name="first"),
        "second": replace(inner, name="second"),
        "answer": ANSWER,
    }
    return CollectionSpec("test.o", "linux", {"test": program(STEPS)}, maps)


def by_jit(spec: CollectionSpec) -> int:
    with Collection.load(spec, loops=run_loops) as loaded:
        run_loaded(loaded, "test", FrameContext())
        return number(loaded.maps["answer"].lookup(key(0)))


def by_interpreter(spec: CollectionSpec) -> int:
    maps, test = models(spec.maps), spec.programs["test"]
    Interpreter(test, maps, python_helpers()).run(Context(test.hook, FrameContext(), PacketMemory(bytes(64))))
    return number(maps["answer"].lookup(key(0)))


def by_linux(spec: CollectionSpec) -> int:
    with kernel.kernel_maps(spec.maps) as numbers:
        kernel.run(spec.programs["test"], numbers)
        return number(kernel.lookup(numbers["answer"], key(0), 8))


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.value)
@pytest.mark.parametrize("inner", INNER)
def test_programs_work_on_what_they_find(inner: str, type_: MapType) -> None:
    if not kernel.available():
        pytest.skip("this process may not call bpf()")
    spec = collection(INNER[inner], type_)
    answers = by_jit(spec), by_interpreter(spec), by_linux(spec)
    assert len(set(answers)) == 1, answers
    assert answers[0] > 31**8  # something was found


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
        assert by_jit(spec) == by_interpreter(spec) == by_linux(spec) == (1 << 64) - 2


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
    answers = by_jit(spec), by_interpreter(spec), by_linux(spec)
    assert len(set(answers)) == 1 and answers[0] != 0, answers


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
    assert by_jit(spec) == by_interpreter(spec) == by_linux(spec) == expected


# the control plane


@pytest.fixture(params=TYPES, ids=lambda type_: type_.value)
def outer(request: pytest.FixtureRequest) -> Iterator[MapOfMaps]:
    with open_map(outer_of(HASH, request.param)) as opened:
        assert isinstance(opened, MapOfMaps)
        yield opened


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


# lifetime


def test_a_map_lives_on_in_the_map_that_holds_it(outer: MapOfMaps) -> None:
    with open_map(HASH) as map_:
        map_.update(key(1), word(2))
        outer[key(0)] = map_
    assert not map_.closed
    assert outer[key(0)].lookup(key(1)) == word(2)
    outer[key(0)].update(key(1), word(3))
    assert map_.lookup(key(1)) == word(3)
    outer.close()
    assert map_.closed


def test_what_was_taken_out_lives_until_all_has_settled(outer: MapOfMaps) -> None:
    with open_map(HASH) as first, open_map(HASH) as second:
        outer[key(0)] = first
        outer[key(1)] = first
        outer[key(0)] = second
        del outer[key(1)]
    assert not first.closed
    assert outer.settle() == 2
    assert (first.closed, second.closed) == (True, False)
    assert outer.settle() == 0
    outer.close()
    assert second.closed


def test_an_owner_that_comes_last(outer: MapOfMaps) -> None:
    with open_map(HASH) as map_:
        outer[key(0)] = map_
        outer.close()
        assert not map_.closed
        map_.update(key(1), word(2))
    assert map_.closed
    outer.close()


def test_a_closed_map_does_not_go_in(outer: MapOfMaps) -> None:
    map_ = open_map(HASH)
    map_.close()
    with pytest.raises(RuntimeError, match=r"^map 'm.inner' is closed$"):
        outer[key(0)] = map_
    assert len(outer) == 0


def test_what_did_not_go_in_is_not_held() -> None:
    with open_map(outer_of(HASH)) as outer, open_map(HASH) as map_:
        assert isinstance(outer, MapOfMaps)
        with pytest.raises(NoSuchEntry):
            outer[key(99)] = map_
        map_.close()
        assert map_.closed


def test_maps_of_a_collection_that_is_closed_live_on() -> None:
    """Their code goes with the collection: they get code of their own."""
    with open_map(outer_of(HASH)) as outer:
        assert isinstance(outer, MapOfMaps)
        with Collection.load(collection(HASH, MapType.ARRAY_OF_MAPS), loops=run_loops) as loaded:
            outer[key(0)] = loaded.maps["first"]
            run_loaded(loaded, "test", FrameContext())
            kept = dict(loaded.maps["first"].items())
        assert loaded.maps["second"].closed
        assert dict(outer[key(0)].items()) == kept == {key(2): word(80)}


def test_a_reload_keeps_what_is_in_it() -> None:
    spec = collection(HASH, MapType.HASH_OF_MAPS)
    with ExitStack() as opened:
        old = opened.enter_context(Collection.load(spec, loops=run_loops))
        outer = old.maps["m"]
        assert isinstance(outer, MapOfMaps)
        with open_map(replace(HASH, max_entries=100)) as mine:
            outer[key(1)] = mine
        new = opened.enter_context(Collection.load(spec, reuse=old.maps, loops=run_loops))
        old.close(keep=new.maps.values())
        assert outer.settle() == 1
        run_loaded(new, "test", FrameContext())
        assert outer[key(1)] is mine
        assert number(mine.lookup(key(2))) == 80
        assert len(new.maps["first"]) == 0
    assert mine.closed


def test_reset_goes_back_to_the_declared_maps() -> None:
    with Collection.load(collection(HASH, MapType.ARRAY_OF_MAPS), loops=run_loops) as loaded:
        outer = loaded.maps["m"]
        assert isinstance(outer, MapOfMaps)
        with open_map(HASH) as mine:
            outer[key(1)] = outer[key(3)] = mine
        outer.reset()
        assert dict(outer.maps()) == {key(0): loaded.maps["second"], key(1): loaded.maps["first"]}
        assert mine.closed


# against the model


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

        @rule()
        def settle(self) -> None:
            self.native.settle()

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


# threads

COUNT_UP = """
    *(u32 *)(r10 - 4) = 1
    r2 = r10
    r2 += -4
    r1 = map[m] ll
    call map_lookup_elem
    if r0 == 0 goto none
    r1 = r0
    r2 = r10
    r2 += -4
    call map_lookup_elem
    if r0 == 0 goto none
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    r0 = 2
    exit
    none:
    r0 = 1
    exit
"""


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.value)
def test_a_worker_counts_while_maps_are_exchanged(type_: MapType) -> None:
    """Whatever map the worker finds, its count goes into that one and no other: the sum is the number of runs."""
    runs, kinds = 40_000, replace(INNER["array"], max_entries=4)
    spec = collection_spec([outer_of(kinds, type_)], test=COUNT_UP)
    with Collection.load(spec, loops=run_loops) as loaded:
        outer, found = loaded.maps["m"], [0]
        assert isinstance(outer, MapOfMaps)

        def work() -> None:
            found[0] = sum(run_loaded(loaded, "test", FrameContext()) == 2 for _ in range(runs))

        worker = threading.Thread(target=work)
        inside = open_map(kinds)
        outer[key(1)] = inside
        worker.start()
        exchanged: list[Map] = [inside]
        while worker.is_alive() and len(exchanged) < 500:
            exchanged.append(open_twin(inside))
            outer[key(1)] = exchanged[-1]
            if len(exchanged) % 7 == 0:
                outer.delete(key(1))
        worker.join()
        counted = sum(number(map_.lookup(key(1))) for map_ in exchanged)
        assert len(exchanged) > 1
        assert counted == found[0] > 0
        outer.close()
        assert not any(map_.closed for map_ in exchanged)
        for map_ in exchanged:
            map_.close()


def open_twin(map_: Map) -> Map:
    """Another map of the same kind."""
    return Map.open(map_.spec, map_.processors)


def test_names_of_maps_in_maps_mean_one_thing() -> None:
    maps: Mapping[str, MapSpec] = {"m": outer_of(HASH), "m.inner": replace(HASH, name="m.inner")}
    spec = CollectionSpec("t.o", "linux", {"test": program([])}, {**maps, "answer": ANSWER})
    with pytest.raises(Exception, match=r"the maps in 'm' are called 'm.inner', and so is another map"):
        Collection.load(spec)
