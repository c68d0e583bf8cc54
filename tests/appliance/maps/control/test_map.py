"""An open map's life: refused declarations, contents, closing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from llvmlite import ir

from appliance.ebpf.map_types import REDIRECT_MAPS, MapType
from appliance.ebpf.spec import MapSpec
from appliance.errors import InputRefused
from appliance.maps import (
    KINDS,
    Map,
    MapFrozen,
    MapFull,
    MapRefused,
    MapUnreadable,
    NoSuchEntry,
    OperationRefused,
    emit_operations,
    export_operations,
    model,
    open_map,
)
from appliance.maps.control import compiled
from appliance.maps.kind import NESTED, SIZED_AT_RUN_TIME
from appliance.maps.map_ops import SIGNATURES

HASH = MapSpec("m", MapType.HASH, 4, 4, 8)
ARRAY = MapSpec("m", MapType.ARRAY, 4, 4, 8)
LPM = MapSpec("m", MapType.LPM_TRIE, 8, 4, 8)

REFUSALS = [
    (replace(HASH, key_size=0), "map 'm' (hash): a key of 0 bytes\n  hint: a hash's key has 1 to 512 bytes"),
    (replace(HASH, key_size=513), "map 'm' (hash): a key of 513 bytes\n  hint: a hash's key has 1 to 512 bytes"),
    (replace(HASH, value_size=0), "map 'm' (hash): a value of 0 bytes\n  hint: a value has at least 1 byte"),
    (
        replace(HASH, max_entries=0),
        "map 'm' (hash): max_entries is 0\n  hint: set max_entries to between 1 and 1073741824",
    ),
    (
        replace(HASH, max_entries=100_000_000),
        "map 'm' (hash): 100000000 entries take 3200000576 bytes, more than the 1073741824 that one map may have\n"
        "  hint: lower max_entries or the size of the value",
    ),
    (
        replace(HASH, flags=0x8001),
        "map 'm' (hash): map_flags 0x8000 mean nothing here\n  hint: remove them from map_flags",
    ),
    (
        replace(HASH, type=MapType.LRU_HASH, flags=1),
        "map 'm' (lru_hash): map_flags 0x1 mean nothing here\n  hint: remove them from map_flags",
    ),
    (
        replace(HASH, flags=0x18),
        "map 'm' (hash): map_flags 0x18 let bpf() neither read nor write\n  hint: remove one of the two from map_flags",
    ),
    (
        replace(ARRAY, flags=0x180),
        "map 'm' (array): map_flags 0x180 let programs neither read nor write\n"
        "  hint: remove one of the two from map_flags",
    ),
    (
        replace(ARRAY, key_size=8),
        "map 'm' (array): a key of 8 bytes\n  hint: an array's key is an index: declare it as a 4-byte integer",
    ),
    (
        replace(LPM, key_size=4),
        "map 'm' (lpm_trie): a key of 4 bytes\n  hint: a trie's key is a u32 prefix length and 1 to 256 bytes of data",
    ),
    (
        replace(LPM, key_size=261),
        "map 'm' (lpm_trie): a key of 261 bytes\n"
        "  hint: a trie's key is a u32 prefix length and 1 to 256 bytes of data",
    ),
]


@pytest.mark.parametrize(("spec", "message"), REFUSALS)
def test_declarations_that_no_map_can_be_made_of(spec: MapSpec, message: str) -> None:
    with pytest.raises(MapRefused) as refused:
        Map.open(spec, 1)
    assert str(refused.value) == message
    assert (refused.value.map, refused.value.type) == ("m", spec.type)
    assert isinstance(refused.value, InputRefused)


def test_the_types_without_a_kind_are_refused_by_all_doors() -> None:
    for type_ in set(MapType) - set(KINDS):
        for door in (lambda spec: Map.open(spec, 1), model, lambda spec: emit_operations(ir.Module("m"), spec, 1)):
            with pytest.raises(MapRefused):
                door(replace(HASH, type=type_))


@pytest.mark.parametrize("key_size", [5, 260])
def test_the_longest_and_the_shortest_prefix_keys_are_accepted(key_size: int) -> None:
    with open_map(replace(LPM, key_size=key_size)) as trie:
        longest = (8 * (key_size - 4)).to_bytes(4, "little") + b"\xaa" * (key_size - 4)
        trie.update(longest, b"long")
        trie.update(bytes(key_size), b"zero")
        assert trie.lookup(longest) == b"long"
        assert trie.lookup(longest[:-1] + b"\xab") == b"zero"
        assert sorted(trie.keys()) == sorted([longest, bytes(key_size)])


def test_contents_are_there_from_the_start() -> None:
    spec = replace(HASH, contents=((b"key1", b"one "), (b"key2", b"two ")))
    with open_map(spec) as map:
        assert dict(map.items()) == dict(spec.contents)


def test_an_array_is_filled_without_any_code() -> None:
    """Every section of variables is one, of a size of its own."""
    index = (1).to_bytes(4, "little")
    spec = MapSpec("data", MapType.ARRAY, 4, 12, 2, contents=((index, b"twelve bytes"),))
    before = compiled._compiled.cache_info().misses
    with open_map(spec) as map:
        assert compiled._compiled.cache_info().misses == before
        assert map.lookup(index) == b"twelve bytes"
        assert compiled._compiled.cache_info().misses == before + 1


def test_an_index_beyond_the_array_is_refused() -> None:
    with pytest.raises(NoSuchEntry):
        open_map(MapSpec("data", MapType.ARRAY, 4, 4, 1, contents=((b"\1\0\0\0", b"four"),)))


def test_read_only_maps_keep_their_contents() -> None:
    spec = replace(ARRAY, contents=((bytes(4), b"text"),), read_only=True)
    with open_map(spec) as map:
        for change in (lambda: map.update(bytes(4), b"more"), lambda: map.delete(bytes(4))):
            with pytest.raises(MapFrozen, match=r"^map 'm': it is read-only: its contents came with the program$"):
                change()
        assert map.lookup(bytes(4)) == b"text"


def test_flags_say_what_the_control_plane_may_do() -> None:
    """BPF_F_RDONLY and BPF_F_WRONLY, which are not those for programs."""
    with open_map(replace(HASH, flags=1 << 3, contents=((b"key1", b"one "),))) as map:
        assert (map.lookup(b"key1"), list(map), len(map)) == (b"one ", [b"key1"], 1)
        for write in (
            lambda: map.update(b"key1", b"two "),
            lambda: map.delete(b"key1"),
            lambda: map.lookup_and_delete(b"key1"),
            lambda: map.update_batch([(b"key1", b"two ")]),
            lambda: map.delete_batch([b"key1"]),
            lambda: map.lookup_and_delete_batch(9),
            map.clear,
        ):
            with pytest.raises(MapFrozen, match="its flags \\(BPF_F_RDONLY\\) let the control plane only read"):
                write()
        assert map.lookup(b"key1") == b"one "
    with open_map(replace(HASH, flags=1 << 4)) as map:
        map.update(b"key1", b"one ")
        for read in (
            lambda: map.lookup(b"key1"),
            lambda: map.lookup_all(b"key1"),
            lambda: map.lookup_batch(1),
            lambda: map.lookup_and_delete(b"key1"),
            lambda: list(map.items()),
            lambda: list(map),
            lambda: map.lookup_and_delete_batch(9),
        ):
            with pytest.raises(MapUnreadable, match="its flags \\(BPF_F_WRONLY\\) let the control plane only write"):
                read()
        assert map.delete(b"key1")


def test_a_queue_that_the_control_plane_may_only_write() -> None:
    with open_map(MapSpec("m", MapType.QUEUE, 0, 4, 3, flags=1 << 4)) as queue:
        queue.push(b"one ")
        for read in (queue.pop, queue.peek):
            with pytest.raises(MapUnreadable):
                read()
        assert len(queue) == 1


def test_what_programs_may_only_read_the_control_plane_may_write() -> None:
    with open_map(replace(HASH, flags=1 << 7)) as map:
        map.update(b"key1", b"one ")
        map.freeze()
        with pytest.raises(MapFrozen):
            map.update(b"key1", b"two ")


def test_sizes_are_checked_before_native_code_sees_them() -> None:
    with open_map(HASH) as map:
        for call in (lambda: map.lookup(b"key"), lambda: map.delete(b"key12"), lambda: map.update(b"", b"four")):
            with pytest.raises(OperationRefused, match=r"^map 'm': a key of \d bytes where 4 are declared$"):
                call()
        with pytest.raises(OperationRefused, match=r"^map 'm': a value of 5 bytes where 4 are declared$"):
            map.update(b"key1", b"five!")


def test_closing_twice_is_harmless_and_using_afterwards_is_an_error() -> None:
    map = open_map(HASH)
    map.close()
    map.close()
    for use in (lambda: map.lookup(b"key1"), lambda: len(map), lambda: list(map.items())):
        with pytest.raises(RuntimeError, match=r"^map 'm' is closed$"):
            use()


def test_contents_of_the_wrong_size_are_refused() -> None:
    with pytest.raises(OperationRefused):
        open_map(replace(HASH, contents=((b"too long", b"four"),)))


def test_maps_that_share_their_code_keep_their_own_limits() -> None:
    specs = [replace(HASH, name=f"of{entries}", max_entries=entries) for entries in (3, 50)]
    with open_map(specs[0]) as small, open_map(specs[1]) as large:
        for map_ in (small, large):
            with pytest.raises(MapFull):
                for number in range(51):
                    map_.update(number.to_bytes(HASH.key_size, "little"), bytes(HASH.value_size))
        assert (len(small), len(large)) == (3, 50)
        assert len(list(large.items())) == 50


ONE_SIZE = {MapType.PERF_EVENT_ARRAY, MapType.PROG_ARRAY}


def example(type_: MapType) -> MapSpec:
    """A declaration of that type."""
    if type_ is MapType.RINGBUF:
        return MapSpec("m", type_, 0, 0, 1 << 14)
    if type_ in ONE_SIZE:
        return MapSpec("m", type_, 4, 4, 8)
    base = LPM if type_ is MapType.LPM_TRIE else HASH
    key_size = base.key_size if "lookup" in KINDS[type_].operations else 0
    return replace(base, type=type_, key_size=key_size, inner=HASH if type_ in NESTED else None)


@pytest.mark.parametrize("type_", KINDS)
def test_operations_are_written_once_per_shape(type_: MapType) -> None:
    module = ir.Module("m")
    spec, own = example(type_), KINDS[type_].operations[0]
    first = emit_operations(module, spec, 2)
    names = set(module.globals)
    assert emit_operations(module, replace(spec, name="other"), 2) == first
    assert set(module.globals) == names
    larger = emit_operations(module, replace(spec, max_entries=2 * spec.max_entries), 2)
    assert (getattr(larger, own) is getattr(first, own)) == (type_ in SIZED_AT_RUN_TIME)
    if type_ not in REDIRECT_MAPS | NESTED | ONE_SIZE | {MapType.RINGBUF}:  # whose values have one size
        wider = emit_operations(module, replace(spec, value_size=24), 2)
        assert getattr(wider, own) is not getattr(first, own)
    assert {getattr(first, operation).linkage for operation in SIGNATURES} == {"internal"}
    export_operations(module, spec, 2)
    exported = set(module.globals)
    export_operations(module, spec, 2)
    assert set(module.globals) == exported


def test_clear_and_iteration_while_entries_go() -> None:
    with open_map(replace(HASH, max_entries=100)) as map:
        for number in range(100):
            map.update(number.to_bytes(4, "little"), b"here")
        assert sum(map.delete(key) for key in map) == 100
        assert len(map) == 0
