"""What a program's module has of its maps' operations, and what it only names."""

from __future__ import annotations

import gc

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.jit.collection import Collection
from appliance.maps.control.compiled import _compiled, _found, control_plane_of
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.support import collection_spec, run_loaded, run_loops

SEEN = MapSpec("seen", MapType.HASH, 8, 8, 16)

LOOK = """
    *(u64 *)(r10 - 8) = 7
    r2 = r10
    r2 += -8
    r1 = map[seen] ll
    call map_lookup_elem
    if r0 == 0 goto out
    r0 = 1
    exit
out:
    r0 = 2
    exit
"""
PUT = """
    *(u64 *)(r10 - 8) = 7
    r2 = r10
    r2 += -8
    r3 = r2
    r4 = 0
    r1 = map[seen] ll
    call map_update_elem
    r0 = 2
    exit
"""


def test_a_second_lookup_makes_both_a_call() -> None:
    twice = LOOK.replace("r0 = 1", LOOK.partition("    if r0")[0] + "    if r0 == 0 goto out\n    r0 = 1")
    with Collection.load(collection_spec([SEEN], test=twice), loops=run_loops) as loaded:
        assert loaded.engine.code.symbols == {"memory.seen", "map.hash.k8.v8.f0.p1.control.lookup"}
        assert run_loaded(loaded, "test", FrameContext()) == 2
        loaded.maps["seen"].update((7).to_bytes(8, "little"), bytes(8))
        assert run_loaded(loaded, "test", FrameContext()) == 1


def test_a_lookup_is_in_the_module() -> None:
    with Collection.load(collection_spec([SEEN], test=LOOK), loops=run_loops) as loaded:
        assert loaded.engine.code.symbols == {"memory.seen"}
        assert run_loaded(loaded, "test", FrameContext()) == 2


def test_updates_are_the_control_planes() -> None:
    with Collection.load(collection_spec([SEEN], test=PUT), loops=run_loops) as loaded:
        (operation,) = loaded.engine.code.symbols - {"memory.seen"}
        assert operation == "map.hash.k8.v8.f0.p1.control.update"
        assert f"define internal i64 @{operation}" not in loaded.engine.optimised()
        run_loaded(loaded, "test", FrameContext())
        assert dict(loaded.maps["seen"].items()) == {(7).to_bytes(8, "little"): (7).to_bytes(8, "little")}


def test_the_control_planes_code_lives_as_long_as_the_programs() -> None:
    with Collection.load(collection_spec([SEEN], test=PUT), loops=run_loops) as loaded:
        _found.cache_clear()
        _compiled.cache_clear()
        gc.collect()
        run_loaded(loaded, "test", FrameContext())
        assert len(loaded.maps["seen"]) == 1


def test_what_a_load_calls_is_compiled_together() -> None:
    """And what it called before others asked is theirs, too."""
    spec = MapSpec("seen", MapType.HASH, 8, 4, 16)
    twice = LOOK.partition("    if r0")[0] + PUT
    program = twice.replace("call map_update_elem", f"call map_update_elem\n{LOOK.partition('    if r0')[0]}")
    before = _compiled.cache_info().misses
    with Collection.load(collection_spec([spec], test=program), loops=run_loops) as loaded:
        called = loaded.engine.code.symbols - {"memory.seen"}
        assert called == {f"map.hash.k8.v4.f0.p1.control.{operation}" for operation in ("lookup", "update")}
        assert _compiled.cache_info().misses == before + 1
        assert control_plane_of(spec, 1, "lookup") is control_plane_of(spec, 1, "update")


def test_a_name_that_nobody_knows_is_told() -> None:
    with Collection.load(collection_spec([SEEN], test=LOOK), loops=run_loops) as loaded:
        code = loaded.engine.code
    try:
        type(loaded.engine)(code)
    except RuntimeError as error:
        assert str(error) == "nobody said where 'memory.seen' is"
    else:
        raise AssertionError("it was linked")
