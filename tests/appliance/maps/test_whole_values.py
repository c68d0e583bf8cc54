"""An update gives an entry another element: whoever reads meanwhile has the whole of the old value, or of the new."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.ir import I64, PTR, Code, Engine
from appliance.maps import Map, MapOps, emit_operations, export_operations
from appliance.maps.hash.layout import EXTRAS
from appliance.maps.lpm.layout import RESTING
from appliance.maps.operations import control_name

SIZE = 64
REPLACED = (MapType.HASH, MapType.LRU_HASH, MapType.LPM_TRIE)
# How many updates later the memory of an old value may be written again.
LATEST = {MapType.HASH: EXTRAS, MapType.LRU_HASH: EXTRAS, MapType.LPM_TRIE: RESTING}
ROUNDS = 400_000


class Seen(ctypes.Structure):
    _fields_ = (("mixed", ctypes.c_uint64), ("whole", ctypes.c_uint64), ("late", ctypes.c_uint64))


def spec_of(type_: MapType) -> MapSpec:
    return MapSpec("m", type_, 8, SIZE, 4)


KEY = (32).to_bytes(4, "little") + b"\x0a\x01\x02\x03"


def engine_for(type_: MapType) -> Engine:
    """write(map, key, rounds): values whose words are all the number of the round. read(map, key, rounds, seen)."""
    module, spec = ir.Module("whole"), spec_of(type_)
    functions = emit_operations(module, spec, 1)
    export_operations(module, spec, 1)
    _emit_write(module, functions)
    _emit_read(module, functions, LATEST[type_])
    return Engine(module)


def _emit_write(module: ir.Module, functions: MapOps) -> None:
    code = Code.define(module, "write", ir.VoidType(), linkage="external", map=PTR, key=PTR, rounds=I64)
    value = code.buffer(SIZE)
    with code.count(code["rounds"]) as number:
        for offset in range(0, SIZE, 8):
            code.store(number, code.at(value, offset), align=8)
        code.call(functions.update, code["map"], code["key"], value, 0, 0)
    code.ret()


def _emit_read(module: ir.Module, functions: MapOps, latest: int) -> None:
    """A reader that was stopped for as many updates as an element rests may see any of them: that is `late`."""
    code = Code.define(module, "read", ir.VoidType(), linkage="external", map=PTR, key=PTR, rounds=I64, seen=PTR)
    mixed, whole, late = (code.field(code["seen"], Seen, name) for name in ("mixed", "whole", "late"))
    with code.count(code["rounds"]):
        value = code.call(functions.lookup, code["map"], code["key"], 0)
        copy = code.buffer(SIZE)
        code.copy(copy, value, SIZE)
        words = [code.load(code.at(copy, offset), I64) for offset in range(0, SIZE, 8)]
        oldest = newest = words[0]
        for word in words[1:]:
            oldest = code.select(code.compare(word, "<", oldest), word, oldest)
            newest = code.select(code.compare(word, ">", newest), word, newest)
        code.builder.fence("seq_cst")
        now = code.load(code.call(functions.lookup, code["map"], code["key"], 0), I64, align=8)
        waited = code.sub(now, oldest)
        with code.if_else(code.compare(waited, ">=", latest - 1)) as (stopped, in_time):
            with stopped:
                late.add(1)
            with in_time, code.if_else(code.compare(oldest, "==", newest)) as (same, torn):
                with same:
                    whole.add(1)
                with torn:
                    mixed.add(1)
    code.ret()


@contextmanager
def written(type_: MapType) -> Iterator[tuple[Map, Engine, threading.Thread]]:
    """A map, and a native thread that updates its one entry; it runs until the `with` ends."""
    with engine_for(type_) as engine, Map.open(spec_of(type_), 1) as map:
        map.update(KEY, bytes(SIZE))
        write = engine.function("write", None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64)
        thread = threading.Thread(target=write, args=(map.address, KEY, 20 * ROUNDS))
        thread.start()
        try:
            yield map, engine, thread
        finally:
            thread.join()


@pytest.mark.parametrize("type_", REPLACED)
def test_the_old_value_stays_whole_for_who_has_its_pointer(type_: MapType) -> None:
    spec = spec_of(type_)
    with engine_for(type_) as engine, Map.open(spec, 1) as map:
        name = control_name(map.shape, "lookup")
        lookup = engine.function(name, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32)
        map.update(KEY, b"o" * SIZE)
        old = lookup(map.address, KEY, 0)
        for number in range(LATEST[type_] - 1):
            map.update(KEY, bytes([number]) * SIZE)
            new = lookup(map.address, KEY, 0)
            assert ctypes.string_at(new, SIZE) == bytes([number]) * SIZE
            assert ctypes.string_at(old, SIZE) == b"o" * SIZE, "until as many updates as elements rest"


@pytest.mark.parametrize("type_", REPLACED)
def test_python_reads_whole_values_only(type_: MapType) -> None:
    """However long a lookup or a walk takes."""
    looked = 0
    with written(type_) as (map, _, thread):
        while thread.is_alive():
            value = map.lookup(KEY)
            assert value is not None, "the entry was there all the time"
            ((key, walked),) = map.items()
            assert key == KEY
            assert value == value[:8] * (SIZE // 8)
            assert walked == walked[:8] * (SIZE // 8)
            looked += 1
    assert looked > 0


@pytest.mark.parametrize("type_", REPLACED)
def test_programs_read_whole_values(type_: MapType) -> None:
    seen = Seen()
    with written(type_) as (map, engine, thread):
        pointer, word = ctypes.c_void_p, ctypes.c_uint64
        read = engine.function("read", None, pointer, ctypes.c_char_p, word, pointer)
        while thread.is_alive():
            read(map.address, KEY, 1000, ctypes.byref(seen))
    assert seen.mixed == 0
    assert seen.whole > 0


@pytest.mark.parametrize("type_", REPLACED)
def test_elements_that_stand_by_are_no_room_for_entries(type_: MapType) -> None:
    """max_entries is exact, however often entries were updated."""
    with Map.open(spec_of(type_), 1) as map:
        keys = [(32).to_bytes(4, "little") + bytes([n] * 4) for n in range(9)]
        for key in keys[:4]:
            for _ in range(40):
                map.update(key, key * 8)
        assert sorted(map) == keys[:4]
        if type_ is MapType.LRU_HASH:
            for key in keys:
                map.update(key, key * 8)
            assert len(map) == len(list(map)) == 4
        else:
            with pytest.raises(Exception, match="it is full: max_entries is 4"):
                map.update(keys[4], bytes(SIZE))
