"""Locks in values: two threads under one, copies that are of one piece, and programs in every engine."""

from __future__ import annotations

import ctypes
import threading

import pytest

from appliance.ebpf.interpreter import Fault
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.jit.collection import Collection
from appliance.maps import Flag, MapRefused, OperationRefused, open_map
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.support import run_loops
from tests.appliance.maps.three_engines import by_interpreter, check, collection_of, program

HASH = MapSpec("m", MapType.HASH, 8, 16, 4, lock=8)
ARRAY = MapSpec("m", MapType.ARRAY, 4, 16, 4, lock=8)
KEY = bytes(4)

LOOKUP = (
    "*(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; r1 = map[m] ll; call map_lookup_elem;if r0 == 0 goto none; r6 = r0;"
)
LOCK, UNLOCK = ("r1 = r6; r1 += 8; call spin_" + what + ";" for what in ("lock", "unlock"))
COUNT = "r1 = *(u64 *)(r6 + 0); r1 += 1; *(u64 *)(r6 + 0) = r1; *(u32 *)(r6 + 12) = r1;"
TURNS = 200
COUNTING = f"{LOOKUP} r8 = {TURNS}; again: {LOCK} {COUNT} {UNLOCK} r8 += -1; if r8 != 0 goto again; none: r7 = 1;"


@pytest.mark.parametrize("map", [HASH, ARRAY], ids=lambda map: map.type.value)
def test_threads_count_under_the_lock(map: MapSpec) -> None:
    """No count is lost; and whoever copies the value under the lock sees both of its halves alike."""
    runs, key = 2000, bytes(map.key_size)
    with Collection.load(collection_of(program([COUNTING]), map), loops=run_loops) as loaded:
        run = loaded.engine.function("run_test", ctypes.c_uint64, ctypes.c_void_p)
        counted = loaded.maps["m"]
        counted.update(key, bytes(16))

        def count() -> None:
            context = FrameContext()
            for _ in range(runs):
                run(ctypes.byref(context))

        threads = [threading.Thread(target=count) for _ in range(2)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            value = counted.lookup(key, flags=Flag.LOCK)
            assert value is not None
            assert value[:4] == value[12:]
            assert value[8:12] == bytes(4)
            threads[0].join(0.001)
        for thread in threads:
            thread.join()
        assert int.from_bytes(counted.lookup(key) or b"", "little") & (1 << 32) - 1 == 2 * runs * TURNS


def test_an_update_is_of_one_piece_too() -> None:
    """The program counts both halves up, the control plane writes equal halves: they never differ."""
    with Collection.load(collection_of(program([COUNTING]), ARRAY), loops=run_loops) as loaded:
        run = loaded.engine.function("run_test", ctypes.c_uint64, ctypes.c_void_p)

        def count() -> None:
            context = FrameContext()
            for _ in range(2000):
                run(ctypes.byref(context))

        thread = threading.Thread(target=count)
        thread.start()
        while thread.is_alive():
            half = (1 << 20).to_bytes(4, "little")
            loaded.maps["m"].update(KEY, half + bytes(4) + b"\xff" * 4 + half, Flag.LOCK | Flag.EXIST)
            value = loaded.maps["m"].lookup(KEY, flags=Flag.LOCK)
            assert value is not None
            assert value[:4] == value[12:]
        thread.join()


def test_every_engine_does_the_same() -> None:
    steps = [f"{LOOKUP} {LOCK} {COUNT} {UNLOCK} {LOCK} {COUNT} {UNLOCK} r7 = *(u64 *)(r6 + 0); none: r7 += 3;"]
    check(steps, ARRAY)
    check(steps, HASH)
    put = "".join(f"*(u64 *)(r10 - {at}) = {at};" for at in (24, 16)) + "r3 = r10; r3 += -24; r2 = r10; r2 += -8;"
    call = "*(u64 *)(r10 - 8) = 0; r1 = map[m] ll; call map_update_elem; r7 *= 31; r7 += r0;"
    updates = [f"{put} r4 = {flags}; {call}" for flags in range(9)]
    check([*updates, *steps], HASH)
    check([*updates, *steps], ARRAY)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{LOOKUP} {LOCK} none: r7 = 0;", "a call of map_lookup_elem while a lock is held"),
        (f"{LOOKUP} {UNLOCK} none: r7 = 0;", "an unlock of a lock that is not held"),
        (f"{LOOKUP} {LOCK} {LOCK} none: r7 = 0;", "a call of spin_lock while a lock is held"),
        (f"{LOOKUP} {LOCK} r0 = 1; exit; none: r7 = 0;", "a return while a lock is held"),
    ],
)
def test_the_interpreter_notices_what_a_verified_program_never_does(text: str, fault: str) -> None:
    with pytest.raises(Fault) as raised:
        by_interpreter(collection_of(program([text]), ARRAY))
    assert raised.value.what == fault


def test_lookups_under_the_lock_ask_for_one() -> None:
    with open_map(MapSpec("m", MapType.ARRAY, 4, 8, 1)) as plain:
        with pytest.raises(OperationRefused, match="a lookup with flags 0x4: its values have no lock"):
            plain.lookup(KEY, flags=Flag.LOCK)
        with pytest.raises(OperationRefused):
            plain.update(KEY, bytes(8), Flag.LOCK)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (MapSpec("m", MapType.LRU_HASH, 4, 8, 1, lock=0), "a value with a lock (struct bpf_spin_lock)\n  hint: use a"),
        (MapSpec("m", MapType.ARRAY, 4, 8, 1, flags=1 << 7, lock=0), "a value with a lock, and map_flags 0x80"),
        (MapSpec("m", MapType.ARRAY, 4, 8, 1, lock=2), "a lock at byte 2 of 8\n  hint: place it inside the value"),
        (MapSpec("m", MapType.ARRAY, 4, 8, 1, lock=8), "a lock at byte 8 of 8"),
    ],
)
def test_declarations_that_no_lock_fits(spec: MapSpec, message: str) -> None:
    with pytest.raises(MapRefused) as refused:
        open_map(spec)
    assert message in str(refused.value)
