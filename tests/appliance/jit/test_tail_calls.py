"""Arrays of programs: filled, changed while programs run, over a reload, and with the programs of other objects."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.epochs import default_domain
from appliance.errors import InputRefused
from appliance.helpers.limits import MAX_TAIL_CALLS
from appliance.jit.collection import Collection
from appliance.maps import MapFrozen, MapRefused, NoSuchEntry, OperationRefused, open_map
from appliance.maps.control.prog_array import ProgArray
from appliance.maps.control.target import Target
from appliance.memory import PRIVATE
from hooks.contracts.contract import HookPoint
from hooks.contracts.sock_addr import SOCK_ADDR_LINUX
from hooks.contracts.xdp import XDP_LINUX, XDP_WINDOWS, FrameContext
from tests.appliance.jit.support import collection_spec, run_loaded, run_loops

ARRAY = MapSpec("programs", MapType.PROG_ARRAY, 4, 4, 4)
DISPATCH = "r2 = map[programs] ll; r3 = 0; call tail_call; r0 = 2; exit"
NOWHERE, DROPS, SENDS_BACK = 2, 1, 3
LEAVES = {"drop": "r0 = 1; exit", "back": "r0 = 3; exit"}


def loaded(array: MapSpec = ARRAY, **changes: str) -> Collection:
    spec = collection_spec([array], **{"dispatch": DISPATCH, **LEAVES, **changes})
    return Collection.load(spec, loops=run_loops)


def array_of(collection: Collection) -> ProgArray:
    array = collection.maps["programs"]
    assert isinstance(array, ProgArray)
    return array


def verdict(collection: Collection, program: str = "dispatch") -> int:
    return run_loaded(collection, program, FrameContext())


def test_programs_are_put_in_and_taken_out_by_name() -> None:
    with loaded() as collection:
        array = array_of(collection)
        assert (verdict(collection), len(array)) == (NOWHERE, 0)
        array[0] = "drop"
        assert (verdict(collection), array[0].spec.name, list(array)) == (DROPS, "drop", [bytes(4)])
        array[bytes(4)] = "back"
        assert verdict(collection) == SENDS_BACK
        del array[0]
        assert (verdict(collection), array.get(0)) == (NOWHERE, None)
        assert not array.delete(bytes(4))
        with pytest.raises(NoSuchEntry):
            del array[0]


def test_what_a_declaration_puts_in_is_loaded_and_there() -> None:
    spec = collection_spec([replace(ARRAY, values=((0, "drop"), (3, "back")))], dispatch=DISPATCH, **LEAVES)
    with Collection.load(spec, programs=["dispatch"], loops=run_loops) as collection:
        array = array_of(collection)
        assert (verdict(collection), set(collection.programs)) == (DROPS, {"dispatch", "drop", "back"})
        assert {key: array[key].spec.name for key in array} == {bytes(4): "drop", b"\3\0\0\0": "back"}
        array.clear()
        array.reset()
        assert len(array) == 2


def test_a_number_tells_programs_apart() -> None:
    with loaded() as one, loaded() as other:
        array = array_of(one)
        array[0], array[1], array[2] = "drop", "back", other.targets["drop"]
        numbers = dict(array.items())
        assert len(set(numbers.values())) == 2
        assert numbers[bytes(4)] == numbers[b"\2\0\0\0"] == array.lookup(bytes(4))
        with pytest.raises(OperationRefused, match="numbers only to look at\n  hint: write array"):
            array.update(bytes(4), numbers[bytes(4)])


def test_programs_that_do_not_fit() -> None:
    other = MapSpec("programs", MapType.PROG_ARRAY, 4, 4, 4)
    with open_map(other, processors=2) as wide, loaded() as collection:
        assert isinstance(wide, ProgArray)
        with pytest.raises(OperationRefused, match="the program 'drop' was loaded for 1 workers, and 2 may get there"):
            wide[0] = collection.targets["drop"]
        array = array_of(collection)
        with pytest.raises(
            OperationRefused, match="no program 'absent' is loaded\n  hint: loaded: dispatch, drop, back"
        ):
            array[0] = "absent"
        for index in (4, -1, b"\4\0\0\0"):
            with pytest.raises(NoSuchEntry):
                array[index] = "drop"
        with pytest.raises(OperationRefused):
            array.put(0, "drop", flags=1)
        array.freeze()
        with pytest.raises(MapFrozen):
            array[0] = "drop"


def test_programs_of_another_hook() -> None:
    foreign = ProgramSpec("foreign", "xdp", XDP_WINDOWS, assemble("r0 = 1; exit"))
    spec = CollectionSpec("w.o", "windows", {"foreign": foreign}, {})
    with loaded() as collection, Collection.load(spec, targets=True) as windows:
        with pytest.raises(OperationRefused, match="the program 'foreign' of hook `xdp` makes tail calls through it"):
            array_of(collection)[0] = windows.targets["foreign"]
        assert verdict(collection) == NOWHERE


def test_declarations_that_make_no_sense() -> None:
    spec = collection_spec([replace(ARRAY, values=((0, "absent"),))], dispatch=DISPATCH)
    with pytest.raises(InputRefused, match="the map 'programs' holds the program 'absent', which is not to be loaded"):
        Collection.load(spec)
    with pytest.raises(NoSuchEntry):
        Collection.load(collection_spec([replace(ARRAY, values=((4, "dispatch"),))], dispatch=DISPATCH))
    with pytest.raises(MapRefused, match="declare the value as a 4-byte integer"):
        open_map(replace(ARRAY, value_size=8))


def test_programs_that_sleep_until_they_are_asked_for() -> None:
    spec = collection_spec([], awake="r0 = 1; exit", asleep="r0 = 2; exit")
    sleeping = replace(spec.programs["asleep"], autoload=False)
    spec = replace(spec, programs={**spec.programs, "asleep": sleeping})
    with Collection.load(spec) as collection:
        assert set(collection.programs) == {"awake"}
    with Collection.load(spec, programs=["asleep"]) as collection:
        assert set(collection.programs) == {"asleep"}


def test_the_count_begins_anew_with_each_run() -> None:
    again = "r2 = map[programs] ll; r3 = 0; call tail_call; r0 = 4; exit"
    with loaded(dispatch=again) as collection:
        array_of(collection)[0] = "dispatch"
        frame = FrameContext(tail_calls=MAX_TAIL_CALLS)
        assert [run_loaded(collection, "dispatch", frame) for _ in range(3)] == [4, 4, 4]
        assert frame.tail_calls == MAX_TAIL_CALLS


# over a reload


def test_a_reload_leads_to_the_new_programs() -> None:
    old = loaded(replace(ARRAY, values=((0, "drop"), (1, "back"))))
    array = array_of(old)
    spec = collection_spec([array.spec], dispatch=DISPATCH, drop="r0 = 4; exit", back="r0 = 3; exit")
    new = Collection.load(spec, reuse=old.maps, loops=run_loops)
    assert verdict(old) == verdict(new) == DROPS, "nothing changes before it is taken over"
    new.take_over()
    assert verdict(old) == verdict(new) == 4
    old.close(keep=new.maps.values())
    assert verdict(new) == 4
    array[0] = "back"
    assert verdict(new) == SENDS_BACK
    new.close()


def test_a_program_that_is_no_more_leaves_its_place() -> None:
    old = loaded()
    array_of(old)[0] = "back"
    with Collection.load(
        collection_spec([ARRAY], dispatch=DISPATCH, drop="r0 = 1; exit"), reuse=old.maps, loops=run_loops
    ) as new:
        new.take_over()
        old.close(keep=new.maps.values())
        assert (verdict(new), len(array_of(new))) == (NOWHERE, 0)


def test_a_reload_refuses_a_program_of_another_hook_as_a_load_does() -> None:
    """A name that is another hook's from now on can't go on in the place of the program that had it."""
    connect = next(hook for hook in SOCK_ADDR_LINUX if hook.name == "cgroup/connect4")
    redirect = ProgramSpec("drop", connect.name, connect, assemble("r0 = 1; exit"))
    spec = collection_spec([replace(ARRAY, values=((0, "drop"),))], dispatch=DISPATCH, **LEAVES)
    changed = replace(spec, programs={**spec.programs, "drop": redirect})
    refusal = "the program 'drop' of hook `cgroup/connect4` makes tail calls through it, as programs of `xdp` do"
    with pytest.raises(OperationRefused, match=refusal):
        Collection.load(changed)
    with Collection.load(spec, loops=run_loops) as old:
        with pytest.raises(OperationRefused, match=refusal):
            Collection.load(changed, reuse=old.maps)
        assert array_of(old)[0] is old.targets["drop"]
        assert verdict(old) == DROPS
        del array_of(old)[0]
        with Collection.load(changed, reuse=old.maps) as new:
            array_of(old)[0] = "drop"
            with pytest.raises(OperationRefused, match=refusal):
                new.take_over()
            assert array_of(old)[0] is old.targets["drop"]
            new.close(keep=old.maps.values())
        assert verdict(old) == DROPS


def test_a_reload_that_is_called_off_changes_nothing() -> None:
    with loaded() as old:
        array_of(old)[0] = "drop"
        new = Collection.load(collection_spec([ARRAY], dispatch=DISPATCH), reuse=old.maps, loops=run_loops)
        new.close(keep=old.maps.values())
        assert verdict(old) == DROPS


def test_a_reload_that_was_not_taken_over_keeps_the_old_code() -> None:
    old = loaded()
    array_of(old)[0] = "drop"
    with Collection.load(collection_spec([ARRAY], dispatch=DISPATCH), reuse=old.maps, loops=run_loops) as new:
        old.close(keep=new.maps.values())
        assert verdict(new) == DROPS


# programs of other objects

COUNTS = """
    *(u32 *)(r10 - 4) = 0
    r2 = r10; r2 += -4
    r1 = map[hits] ll
    call map_lookup_elem
    if r0 == 0 goto out
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    out: r0 = 1
    exit
"""
HITS = MapSpec("hits", MapType.ARRAY, 4, 8, 1)


def test_a_program_of_another_object_outlives_it() -> None:
    other = Collection.load(collection_spec([HITS], count=COUNTS), targets=True)
    engine, hits = other.engine, other.maps["hits"]
    with loaded() as collection:
        array = array_of(collection)
        array[0] = other.targets["count"]
        other.close()
        assert [verdict(collection) for _ in range(3)] == [DROPS] * 3
        assert hits.lookup(bytes(4)) == (3).to_bytes(8, "little")
        with default_domain.reading("a run that may be in there"):
            array[0] = "back"
            assert not hits.closed
            assert engine.address("program_count")
        assert hits.closed
        with pytest.raises(RuntimeError, match="the engine is closed"):
            engine.address("program_count")
        with pytest.raises(RuntimeError):
            array[0] = other.targets["count"]
        assert verdict(collection) == SENDS_BACK


def test_an_array_that_outlives_its_object_keeps_the_programs_in_it() -> None:
    first = loaded()
    array = array_of(first)
    array[0] = "drop"
    array.hold()
    second = Collection.load(collection_spec([ARRAY], dispatch=DISPATCH), reuse=first.maps, loops=run_loops)
    first.close()
    assert verdict(second) == DROPS
    second.close(keep=[array])
    array.release()
    assert array.closed


# while programs run


def test_places_change_while_programs_run() -> None:
    """Every run answers as one of the programs that were there meanwhile, and none is lost in between."""
    done = threading.Event()

    def change(array: ProgArray, others: list[str | Target]) -> None:
        while not done.is_set():
            for other in others:
                array[0] = other

    with loaded() as collection, loaded(drop="r0 = 0; exit") as other:
        array = array_of(collection)
        others: list[str | Target] = ["drop", "back", other.targets["drop"]]
        array[0] = "drop"
        changing = threading.Thread(target=change, args=(array, others))
        changing.start()
        try:
            run: Callable[..., int] = collection.engine.function("run_dispatch", ctypes.c_uint64, ctypes.c_void_p)
            frame, seen = FrameContext(), set[int]()
            for _ in range(50_000):
                with default_domain.reading("a run"):
                    seen.add(run(ctypes.byref(frame)))
        finally:
            done.set()
            changing.join()
        assert seen <= {0, DROPS, SENDS_BACK}
        assert len(seen) > 1


def test_the_hook_of_a_tail_call_is_the_arrays() -> None:
    array = open_map(ARRAY)
    assert isinstance(array, ProgArray)
    with array:
        array.serve(XDP_LINUX, "the program 'one'")
        with pytest.raises(OperationRefused, match="give each hook an array of its own"):
            array.serve(XDP_WINDOWS, "the program 'two'")


def test_of_two_hooks_that_come_at_once_one_is_the_first() -> None:
    """Objects that share an array are loaded by threads of their own; both find it without a hook, but for the lock."""
    both_have_looked = threading.Barrier(2)

    class SlowArray(ProgArray):
        """Whoever reads the hook waits a moment for the other to read it, too."""

        @property
        def _hook(self) -> HookPoint | None:
            found = self._first
            with suppress(threading.BrokenBarrierError):
                both_have_looked.wait(0.2)
            return found

        @_hook.setter
        def _hook(self, hook: HookPoint | None) -> None:
            self._first = hook

    refused: list[str] = []

    def serve(array: ProgArray, hook: HookPoint) -> None:
        try:
            array.serve(hook, f"the program {hook.name}")
        except OperationRefused as error:
            refused.append(hook.name)
            assert "give each hook an array of its own" in str(error)

    with SlowArray(ARRAY, 1, PRIVATE) as array:
        threads = [threading.Thread(target=serve, args=(array, hook)) for hook in (XDP_LINUX, SOCK_ADDR_LINUX[0])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(refused) == 1
