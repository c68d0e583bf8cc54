"""A collection from its declaration to native code, and what becomes of its maps."""

import pytest
from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.spec import MapSpec
from appliance.errors import InputRefused
from appliance.helpers.native import Clock
from appliance.jit.collection import Collection
from appliance.jit.plan import KernelOnlyProgram
from appliance.maps.control.map import Map
from appliance.maps.errors import MapFull, MapRefused
from appliance.verifier.reports.report import Rejected
from hooks.contracts.xdp import FrameContext
from tests.appliance.ebpf.compiling import compile_c
from tests.appliance.jit.counting import COUNT, HITS, KEY, number
from tests.appliance.jit.support import collection_spec, run_loaded, run_loops

SEEN = MapSpec("seen", MapType.HASH, 4, 8, 16)

PASS = "r0 = 2; exit"
DROP = "r0 = 1; exit"


def test_programs_share_maps_with_the_control_plane() -> None:
    with Collection.load(collection_spec([HITS], count=COUNT), loops=run_loops) as loaded:
        assert [run_loaded(loaded, "count", FrameContext()) for _ in range(3)] == [2, 2, 2]
        assert number(loaded.maps["hits"].lookup(KEY)) == 3
        assert loaded.programs["count"].spec.name == "count"
        assert loaded.verify_seconds > 0
        assert loaded.compile_seconds >= loaded.engine.seconds > 0


def test_only_the_chosen_programs_are_loaded() -> None:
    spec = collection_spec(one=PASS, two="r0 = r5; exit")
    with Collection.load(spec, programs=["one"], loops=run_loops) as loaded:
        assert list(loaded.programs) == ["one"]
        assert run_loaded(loaded, "one", FrameContext()) == 2


def test_an_unknown_program_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputRefused) as refusal:
        Collection.load(collection_spec(one=PASS, two=DROP), programs=["three"])
    assert str(refusal.value) == "test.o: there is no program 'three'\n  hint: programs: one, two"


def test_initial_contents_are_there_at_once() -> None:
    spec = MapSpec("hits", MapType.ARRAY, 4, 8, 4, contents=((KEY, bytes([7] * 8)),))
    with Collection.load(collection_spec([spec], count=COUNT)) as loaded:
        assert loaded.maps["hits"].lookup(KEY) == bytes([7] * 8)


def test_a_reload_takes_maps_over_with_their_entries() -> None:
    old = Collection.load(collection_spec([HITS], count=COUNT), loops=run_loops)
    run_loaded(old, "count", FrameContext())
    with Collection.load(collection_spec([HITS], count=COUNT), reuse=old.maps, loops=run_loops) as new:
        assert new.maps["hits"] is old.maps["hits"]
        run_loaded(old, "count", FrameContext())  # both run on the same memory until the swap is done
        old.close(keep=new.maps.values())
        run_loaded(new, "count", FrameContext())
        assert number(new.maps["hits"].lookup(KEY)) == 3


def test_a_reload_that_is_called_off_leaves_the_old_collection_whole() -> None:
    with Collection.load(collection_spec([HITS], count=COUNT), loops=run_loops) as old:
        new = Collection.load(collection_spec([HITS], count=COUNT), reuse=old.maps)
        new.close(keep=old.maps.values())
        run_loaded(old, "count", FrameContext())
        assert number(old.maps["hits"].lookup(KEY)) == 1


def test_contents_are_not_put_in_again() -> None:
    spec = MapSpec("hits", MapType.ARRAY, 4, 8, 4, contents=((KEY, bytes(8)),))
    old = Collection.load(collection_spec([spec], count=COUNT), loops=run_loops)
    run_loaded(old, "count", FrameContext())
    with Collection.load(collection_spec([spec], count=COUNT), reuse=old.maps) as new:
        old.close(keep=new.maps.values())
        assert number(new.maps["hits"].lookup(KEY)) == 1


@pytest.mark.parametrize(
    "changed",
    [
        MapSpec("hits", MapType.ARRAY, 4, 8, 5),
        MapSpec("hits", MapType.HASH, 4, 8, 4),
        MapSpec("hits", MapType.ARRAY, 4, 16, 4),
        MapSpec("hits", MapType.ARRAY, 4, 8, 4, contents=((KEY, bytes(8)),)),
    ],
)
def test_a_map_that_is_declared_otherwise_is_a_new_one(changed: MapSpec) -> None:
    with (
        Collection.load(collection_spec([HITS], count=COUNT)) as old,
        Collection.load(collection_spec([changed], count=COUNT), reuse=old.maps) as new,
    ):
        assert new.maps["hits"] is not old.maps["hits"]


def test_another_number_of_workers_needs_new_maps() -> None:
    with (
        Collection.load(collection_spec([HITS], count=COUNT)) as old,
        Collection.load(collection_spec([HITS], count=COUNT), processors=2, reuse=old.maps) as new,
    ):
        assert new.maps["hits"] is not old.maps["hits"]
        assert new.maps["hits"].processors == 2


FULL = MapSpec("full", MapType.HASH, 4, 8, 1, contents=((bytes(4), bytes(8)), (KEY, bytes(8))))


@pytest.mark.parametrize(
    ("maps", "program", "error"),
    [
        ([HITS], "r0 = r5; exit", Rejected),
        ([HITS, MapSpec("bad", MapType.QUEUE, 4, 8, 4)], PASS, MapRefused),
        ([HITS, FULL], PASS, MapFull),
    ],
)
def test_a_failed_load_leaves_reused_maps_as_they_were(
    maps: list[MapSpec], program: str, error: type[Exception]
) -> None:
    with Collection.load(collection_spec([HITS], count=COUNT), loops=run_loops) as old:
        run_loaded(old, "count", FrameContext())
        with pytest.raises(error):
            Collection.load(collection_spec(maps, test=program), reuse=old.maps)
        run_loaded(old, "count", FrameContext())
        assert number(old.maps["hits"].lookup(KEY)) == 2


def test_a_failure_of_the_callers_loops_closes_what_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(Map, "close", lambda self: closed.append(self.spec.name))

    def loops(module: ir.Module, functions: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Collection.load(collection_spec([HITS, SEEN], count=COUNT), loops=loops)
    assert sorted(closed) == ["hits", "seen"]


def test_closing_twice_is_harmless() -> None:
    loaded = Collection.load(collection_spec([HITS], count=COUNT))
    loaded.close()
    loaded.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        loaded.engine.address("run_count")


def test_global_variables_are_the_first_value_of_their_map() -> None:
    data = MapSpec(".data", MapType.ARRAY, 4, 16, 1, contents=((bytes(4), bytes(range(16))),))
    text = """
        r1 = map[.data][0] + 8 ll
        r0 = *(u8 *)(r1 + 1)
        r0 &= 3
        r2 = 2
        *(u8 *)(r1 + 1) = r2
        exit
    """
    with Collection.load(collection_spec([data], test=text), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext()) == 9 & 3
        assert loaded.maps[".data"].lookup(bytes(4)) == bytes([*range(9), 2, *range(10, 16)])


def test_the_frames_clock() -> None:
    text = """
        call ktime_get_ns
        r1 = r0
        r0 = 1
        if r1 == 77 goto out
        r0 = 2
    out:
        exit
    """
    with Collection.load(collection_spec(test=text), clock=Clock.FRAME, loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext(time_ns=77)) == 1
        assert run_loaded(loaded, "test", FrameContext(time_ns=78)) == 2


def test_per_processor_values_are_the_workers_own() -> None:
    spec = MapSpec("hits", MapType.PERCPU_ARRAY, 4, 8, 4)
    with Collection.load(collection_spec([spec], count=COUNT), processors=3, loops=run_loops) as loaded:
        for processor in (0, 2, 2):
            run_loaded(loaded, "count", FrameContext(processor_id=processor))
        assert [number(value) for value in loaded.maps["hits"].lookup_all(KEY)] == [1, 0, 2]


def test_updates_and_deletes() -> None:
    text = """
        *(u32 *)(r10 - 4) = 3
        *(u64 *)(r10 - 16) = 99
        r1 = map[seen] ll
        r2 = r10
        r2 += -4
        r3 = r10
        r3 += -16
        r4 = 1
        call map_update_elem
        if r0 == 0 goto first
        r1 = map[seen] ll
        r2 = r10
        r2 += -4
        call map_delete_elem
        r0 = 1
        exit
    first:
        r0 = 2
        exit
    """
    with Collection.load(collection_spec([SEEN], test=text), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext()) == 2
        assert list(loaded.maps["seen"].items()) == [(KEY, (99).to_bytes(8, "little"))]
        assert run_loaded(loaded, "test", FrameContext()) == 1
        assert list(loaded.maps["seen"].items()) == []


def test_a_call_works_on_the_map_of_the_path_that_came() -> None:
    text = """
        *(u32 *)(r10 - 4) = 1
        r3 = *(u32 *)(r1 + 12)
        r1 = map[hits] ll
        if r3 == 1 goto look
        r1 = map[other] ll
    look:
        r2 = r10
        r2 += -4
        call map_delete_elem
        r1 = r0
        r0 = 1
        if r1 == 0 goto out
        r0 = 2
    out:
        exit
    """
    other = MapSpec("other", MapType.HASH, 4, 8, 4, contents=(((1).to_bytes(4, "little"), bytes(8)),))
    with Collection.load(collection_spec([HITS, other, SEEN], test=text), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext(ingress_ifindex=1)) == 2  # an array's entries stay
        assert len(loaded.maps["other"]) == 1
        assert run_loaded(loaded, "test", FrameContext(ingress_ifindex=2)) == 1
        assert len(loaded.maps["other"]) == 0


def test_programs_that_only_a_kernel_runs_are_refused() -> None:
    source = 'SEC("xdp") int here(void *c) { return 2; }\nSEC("kprobe/f") int there(void *c) { return 0; }'
    spec = load_object(compile_c(source), "both.o")
    assert [(name, program.autoload) for name, program in spec.programs.items()] == [("here", True), ("there", False)]
    with Collection.load(spec) as loaded:
        assert list(loaded.programs) == ["here"]
    with pytest.raises(KernelOnlyProgram) as refused:
        Collection.load(spec, programs=["there"])
    assert str(refused.value) == (
        "both.o: the program 'there' is of hook `kprobe`, which only a kernel has\n"
        "  hint: it does not run here; `tidegate verify` judges it"
    )
