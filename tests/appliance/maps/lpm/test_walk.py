"""A walk through a trie and those who want its lock meanwhile: it lets them in again and again."""

from __future__ import annotations

import ctypes
import errno

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.ir import I64, PTR, VOID, Code, Engine, memory
from appliance.maps import Map, export_operations
from appliance.maps.lpm.update import WINDOW
from appliance.maps.operations import control_name

SPEC = MapSpec("m", MapType.LPM_TRIE, 8, 8, 10_000)
GONE = 9_990  # entries that were deleted, in front of those that are left


def counting_module() -> ir.Module:
    """The map's operations around a lock that counts how often it was taken, as there is one thread."""
    module = ir.Module("m")
    code = Code.define(module, "lock", VOID, lock=PTR)
    code.atomic_add(memory(module, "test.taken", 8), 1, I64)
    code.ret()
    export_operations(module, SPEC, 1)
    return module


def key(number: int) -> bytes:
    return (32).to_bytes(4, "little") + number.to_bytes(4, "big")


def test_a_walk_over_what_is_gone_lets_the_lock_go() -> None:
    """By steps, not by time: under one lock it looks at WINDOW places at most."""
    taken = ctypes.c_uint64()
    with Engine(counting_module(), {"test.taken": ctypes.addressof(taken)}) as engine, Map.open(SPEC, 1) as map:
        for number in range(SPEC.max_entries):
            map.update(key(number), bytes(8))
        for number in range(GONE):
            assert map.delete(key(number))
        pointer, word = ctypes.c_void_p, ctypes.c_uint64
        name = control_name(map.shape, "next")
        next_ = engine.function(name, ctypes.c_int64, pointer, word, pointer, pointer)
        found, value = ctypes.create_string_buffer(8), ctypes.create_string_buffer(8)
        position, keys = next_(map.address, 0, found, value), []
        assert taken.value >= GONE / WINDOW
        assert WINDOW <= 100, "what a waiting update may have to wait for"
        while position > 0:
            keys.append(found.raw)
            position = next_(map.address, position, found, value)
        assert position == -errno.ENOENT
        assert keys == [key(number) for number in range(GONE, SPEC.max_entries)]


def test_an_entry_that_is_updated_during_a_walk_comes_once() -> None:
    """It gets another node each time; what a walk goes along is its id."""
    with Map.open(SPEC, 1) as map:
        for number in range(3000):
            map.update(key(number), bytes(8))
        seen = []
        for found in map:
            seen.append(found)
            for number in (0, 1500, 2999):
                map.update(key(number), len(seen).to_bytes(8, "little"))
        assert sorted(seen) == [key(number) for number in range(3000)]
