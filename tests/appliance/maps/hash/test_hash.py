"""Hash maps: Linux's answers, keys of every size, full buckets, and the hash function itself."""

from __future__ import annotations

import ctypes
import errno
import random
from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.ir import I64, PTR, Code, Engine
from appliance.maps import EntryExists, Flag, MapFull, NoSuchEntry, open_map
from appliance.maps.hash.hashing import SEEDS, hash_words, key_words, same_key
from appliance.maps.hash.layout import Bucket, HashHeader, HashLayout
from appliance.maps.kind import Shape
from tests.appliance.maps.native import NativeMap, engine_of

HASH = MapSpec("flows", MapType.HASH, 5, 3, 2)


def test_statuses_are_those_of_linux() -> None:
    with NativeMap(HASH) as flows:
        assert flows.lookup(b"first") is None
        assert flows.delete(b"first") == -errno.ENOENT
        assert flows.update(b"first", b"one", Flag.EXIST) == -errno.ENOENT
        assert flows.update(b"first", b"one", Flag.NOEXIST) == 0
        assert flows.update(b"first", b"1st", Flag.NOEXIST) == -errno.EEXIST
        assert flows.update(b"first", b"uno", Flag.EXIST) == 0
        assert flows.update(b"other", b"two") == 0
        assert flows.update(b"third", b"six") == -errno.E2BIG
        assert flows.update(b"third", b"six", Flag.EXIST) == -errno.ENOENT
        assert flows.update(b"other", b"due") == 0
        assert flows.update(b"other", b"due", 3) == -errno.EINVAL
        assert flows.update(b"other", b"due", 1 << 32) == -errno.EINVAL
        assert dict(flows.map.items()) == {b"first": b"uno", b"other": b"due"}
        assert flows.delete(b"first") == 0
        assert flows.update(b"third", b"six") == 0
        assert (flows.lookup(b"first"), flows.lookup(b"third"), len(flows.map)) == (None, b"six", 2)


def test_python_names_what_is_wrong() -> None:
    with open_map(HASH) as flows:
        flows.update(b"first", b"one")
        with pytest.raises(EntryExists, match=r"^map 'flows': there is an entry under that key already$"):
            flows.update(b"first", b"one", Flag.NOEXIST)
        with pytest.raises(NoSuchEntry, match=r"^map 'flows': there is no entry under that key"):
            flows.update(b"other", b"one", Flag.EXIST)
        flows.update(b"other", b"two")
        with pytest.raises(MapFull) as full:
            flows.update(b"third", b"six")
        assert str(full.value) == (
            "map 'flows': it is full: max_entries is 2\n  hint: delete entries, or raise max_entries"
        )
        assert (flows.delete(b"other"), flows.delete(b"other")) == (True, False)


@pytest.mark.parametrize("key_size", [*range(1, 18), 24, 31, 63, 64, 65, 100, 512])
def test_every_byte_of_a_key_counts(key_size: int) -> None:
    """Keys that differ in one bit are different keys, wherever the bit is."""
    places = sorted({0, 1, key_size // 2, key_size - 2, key_size - 1} & set(range(key_size)))
    keys = [bytes(key_size), *(bytes(place) + b"\x80" + bytes(key_size - place - 1) for place in places)]
    with NativeMap(MapSpec("m", MapType.HASH, key_size, 1, len(keys))) as map:
        for number, key in enumerate(keys):
            assert map.update(key, bytes([number]), Flag.NOEXIST) == 0
        assert [map.lookup(key) for key in keys] == [bytes([number]) for number in range(len(keys))]
        assert sorted(map.map.keys()) == sorted(keys)


def test_full_buckets_overflow_into_the_next_and_come_back() -> None:
    """200 maps, each with seeds of its own, filled: some buckets have more entries than slots."""
    spec = MapSpec("m", MapType.HASH, 4, 4, 32)
    keys = [number.to_bytes(4, "little") for number in range(32)]
    overflow = 0
    for _ in range(200):
        with NativeMap(spec) as map:
            assert {map.update(key, key) for key in keys} == {0}
            assert all(map.lookup(key) == key for key in keys)
            overflow += sum(bucket.overflow for bucket in buckets_of(map))
            random.shuffle(keys)
            assert {map.delete(key) for key in keys[:16]} == {0}
            assert all(map.lookup(key) == key for key in keys[16:])
            assert {map.delete(key) for key in keys[16:]} == {0}
            assert all((bucket.overflow, bucket.reach, bucket.lock) == (0, 0, 0) for bucket in buckets_of(map))
            assert not any(any(bucket.slots) for bucket in buckets_of(map))
    assert overflow > 5


def buckets_of(map: NativeMap) -> list[Bucket]:
    layout = HashLayout.of(map.map.shape, referenced=False)
    first = map.map.address + layout.buckets
    return [Bucket.from_address(first + number * ctypes.sizeof(Bucket)) for number in range(layout.bucket_count)]


def test_seeds_differ_from_map_to_map() -> None:
    with NativeMap(HASH) as one, NativeMap(HASH) as other:
        seeds = [tuple(HashHeader.from_address(map.map.address).seeds) for map in (one, other)]
    assert len({*seeds[0], *seeds[1]}) == 2 * SEEDS


def test_structures_are_whole_cache_lines() -> None:
    assert (ctypes.sizeof(Bucket), ctypes.sizeof(HashHeader)) == (64, 128)
    assert HashHeader.free.offset == 64


def test_small_elements_do_not_cross_cache_lines() -> None:
    layout = HashLayout.of(Shape(MapType.HASH, 16, 8, 1000, 0, 1), referenced=False)
    assert (layout.element_size, layout.elements % 64, layout.value) == (32, 0, 16)


@cache
def compiled_hash(size: int) -> Engine:
    """hash(key, seeds) and same(left, right) for keys of `size` bytes."""
    module = ir.Module("hash")
    code = Code.define(module, "hash", I64, linkage="external", key=PTR, seeds=PTR)
    seeds = [code.load(code.at(code["seeds"], 8 * number), I64) for number in range(SEEDS)]
    code.ret(hash_words(code, key_words(code, code["key"], size), seeds))
    code = Code.define(module, "same", I64, linkage="external", left=PTR, right=PTR)
    code.ret(code.resize(same_key(code, code["left"], code["right"], size), I64))
    return Engine(module)


def some_seeds() -> ctypes.Array[ctypes.c_uint64]:
    chance = random.Random(5)
    return (ctypes.c_uint64 * SEEDS)(*(chance.getrandbits(64) | 1 for _ in range(SEEDS)))


ORDERS: tuple[Literal["little"], Literal["big"]] = ("little", "big")


@pytest.mark.parametrize("size", [4, 13, 16, 24, 32, 40])
def test_the_hash_spreads_keys_that_count_up(size: int) -> None:
    """4096 consecutive keys over 256 buckets: chi-squared within five standard deviations, for both halves."""
    seeds = some_seeds()
    function = compiled_hash(size).function("hash", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p)
    for order in ORDERS:
        hashes = [function(number.to_bytes(size, order), seeds) for number in range(4096)]
        for shift in (56, 1):
            loads = Counter(hash >> shift & 0xFF for hash in hashes)
            chi_squared = sum((loads[bucket] - 16) ** 2 / 16 for bucket in range(256))
            assert 255 - 5 * 22.6 < chi_squared < 255 + 5 * 22.6


@pytest.mark.parametrize("words", range(2, 8))
def test_the_hash_depends_on_the_order_of_words(words: int) -> None:
    """Two words that change places make another key, whichever chains they go into."""
    seeds = some_seeds()
    function = compiled_hash(8 * words).function("hash", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p)
    orders = {_swapped(words, *places) for places in combinations(range(words), 2)}
    hashes = {function(b"".join(word.to_bytes(8, "little") for word in order), seeds) for order in orders}
    assert len(hashes) == len(orders) == words * (words - 1) // 2


def _swapped(words: int, first: int, second: int) -> tuple[int, ...]:
    order = list(range(words))
    order[first], order[second] = order[second], order[first]
    return tuple(order)


@given(st.data())
def test_same_key_compares_all_bytes_and_no_others(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([1, 3, 7, 12]))
    left = data.draw(st.binary(min_size=size, max_size=size))
    right = data.draw(st.just(left) | st.binary(min_size=size, max_size=size))
    same = compiled_hash(size).function("same", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p)
    assert same(left + b"x", right + b"y") == (left == right)


def test_untouched_entries_take_no_memory() -> None:
    """A million entries are declared, ten are made: a few pages."""
    spec = MapSpec("m", MapType.HASH, 16, 16, 1_000_000)
    engine_of(spec, 1)
    before = resident()
    with NativeMap(spec) as map:
        for number in range(10):
            map.update(number.to_bytes(16, "little"), bytes(16))
        assert map.map.memory_size > 40 << 20
        assert resident() - before < 4 << 20


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
