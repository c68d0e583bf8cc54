"""What was proved and compiled once is not proved and compiled again, and nothing else is taken for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from llvmlite import ir

from appliance.datapath.test_run import export_programs
from appliance.ebpf.spec import CollectionSpec, MapSpec
from appliance.helpers.native.call import Clock
from appliance.jit import build_key
from appliance.jit.build_key import compile_, prove
from appliance.jit.collection import Collection
from appliance.jit.program import LARGEST_INLINED, emit_program, entry_name
from appliance.jit.run import emit_run
from appliance.verifier.program import VerifiedProgram
from appliance.verifier.reports.report import Rejected
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.counting import COUNT, HITS, KEY, number
from tests.appliance.jit.support import collection_spec, run_loaded, run_loops


@pytest.fixture(autouse=True)
def forgetful() -> None:
    prove.cache_clear()
    compile_.cache_clear()


def misses() -> tuple[int, int]:
    return prove.cache_info().misses, compile_.cache_info().misses


def count(collection: Collection) -> int:
    run_loaded(collection, "count", FrameContext())
    return number(collection.maps["hits"].lookup(KEY))


def spec(text: str = COUNT, map_: MapSpec = HITS) -> CollectionSpec:
    return collection_spec([map_], count=text)


def test_the_same_code_works_on_the_maps_of_each_load() -> None:
    with Collection.load(spec(), loops=run_loops) as one:
        assert [count(one) for _ in range(3)] == [1, 2, 3]
        with Collection.load(spec(), loops=run_loops) as other:
            assert misses() == (1, 1)
            assert other.maps["hits"].address != one.maps["hits"].address
            assert [count(other) for _ in range(2)] == [1, 2]
            assert [count(one) for _ in range(2)] == [4, 5]
        assert count(one) == 6  # its code is its own
    with Collection.load(spec(), loops=run_loops) as again:
        assert misses() == (1, 1)
        assert count(again) == 1


@dataclass(frozen=True)
class Named:
    """Loops that compare by value."""

    prefix: str

    def __call__(self, module: ir.Module, programs: Mapping[str, ir.Function]) -> None:
        for name, function in programs.items():
            emit_run(module, function, f"{self.prefix}_{name}")


CHANGES: Mapping[str, Mapping[str, object]] = {
    "an instruction": {"spec": spec(COUNT.replace("r0 = 2", "r0 = 1"))},
    "a constant that is a map's name": {
        "spec": collection_spec([replace(HITS, name="h")], count=COUNT.replace("hits", "h"))
    },
    "a map's size": {"spec": spec(map_=replace(HITS, max_entries=5))},
    "one map more": {"spec": collection_spec([HITS, replace(HITS, name="more")], count=COUNT)},
    "the platform": {"spec": replace(spec(), platform="windows", programs={})},
    "the program's name": {"spec": collection_spec([HITS], other=COUNT)},
    "the source": {"spec": replace(spec(), source="other.o")},
    "the workers": {"processors": 2},
    "the clock": {"clock": Clock.FRAME},
    "the loops": {"loops": Named("other")},
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_proved_and_compiled_anew(change: str) -> None:
    usual: Mapping[str, object] = {"spec": spec(), "loops": Named("run")}
    for _ in range(2):
        Collection.load(**usual).close()  # type: ignore[arg-type]
    assert misses() == (1, 1)
    Collection.load(**{**usual, **CHANGES[change]}).close()  # type: ignore[arg-type]
    assert misses() == (2, 2)


def test_what_a_map_holds_at_first_counts_where_nobody_changes_it() -> None:
    text = "r6 = map[hits][0] + 0 ll; r0 = *(u64 *)(r6 + 0); exit"
    for read_only, built in ((False, 1), (True, 2)):
        prove.cache_clear()
        compile_.cache_clear()
        for value in (5, 7):
            held = replace(HITS, contents=((bytes(4), value.to_bytes(8, "little")),), read_only=read_only)
            with Collection.load(spec(text, held), loops=run_loops) as collection:
                assert run_loaded(collection, "count", FrameContext()) == value
        assert misses() == (built, built)


def test_loops_of_equal_value_are_the_same() -> None:
    for _ in range(2):
        Collection.load(spec(), loops=Named("run")).close()
    assert misses() == (1, 1)


def test_a_refusal_is_not_remembered_as_a_proof() -> None:
    for times in (1, 2):
        with pytest.raises(Rejected):
            Collection.load(spec("r0 = r5; exit"))
        assert prove.cache_info() == (0, times, 8, 0)


def test_two_names_of_one_map_are_one_memory() -> None:
    """LLVM takes different symbols for different memory: a store under one name must be seen under the other."""
    text = """
        r6 = map[hits][0] + 0 ll
        r7 = map[again][0] + 0 ll
        r1 = *(u64 *)(r6 + 0)
        *(u64 *)(r7 + 0) = 5
        r0 = *(u64 *)(r6 + 0)
        r0 -= r1
        if r0 == 5 goto out
        r0 = 0
        exit
    out:
        r0 = 2
        exit
    """
    again = replace(HITS, name="again")
    with Collection.load(collection_spec([HITS], count=COUNT), loops=run_loops) as owner:
        hits = owner.maps["hits"]
        both = collection_spec([HITS, again], count=text)
        with Collection.load(both, reuse={"hits": hits, "again": hits}, loops=run_loops) as shared:
            assert run_loaded(shared, "count", FrameContext()) == 2
            shared.close(keep=[hits])
    with Collection.load(collection_spec([HITS, again], count=text), loops=run_loops) as apart:
        assert run_loaded(apart, "count", FrameContext()) == 0


@pytest.mark.parametrize(("fillers", "written"), [(0, 2), (LARGEST_INLINED, 1)])
def test_a_large_program_under_two_names_is_written_once(
    fillers: int, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    emitted: list[str] = []

    def emit(module: ir.Module, program: VerifiedProgram, *rest: Any) -> ir.Function:
        emitted.append(program.spec.name)
        return emit_program(module, program, *rest)

    monkeypatch.setattr(build_key, "emit_program", emit)
    text = "r5 = 0\n" * fillers + COUNT
    twins = collection_spec([HITS], count=text, other=text)
    with Collection.load(twins, loops=run_loops) as loaded:
        assert len(emitted) == written
        for name in ("count", "other", "count"):
            run_loaded(loaded, name, FrameContext())
        assert number(loaded.maps["hits"].lookup(KEY)) == 3
    with Collection.load(twins, loops=export_programs) as loaded:
        assert all(loaded.engine.address(entry_name(name)) for name in ("count", "other"))
    with Collection.load(twins, loops=run_loops, targets=True):
        assert emitted[2 * written :] == ["count", "other"]  # tail calls reach each by its name
