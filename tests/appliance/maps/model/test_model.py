"""The models alone: what the interpreter relies upon."""

from __future__ import annotations

import errno

import pytest

from appliance.ebpf.map_types import REDIRECT_MAPS, MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import KINDS, MODELS, model
from appliance.maps.kind import NESTED

KEY = bytes(4) + b"\x0a" * 4


# Those whose values are a program's to choose: not interfaces, not maps.
KEYED = [type_ for type_ in MODELS if "lookup" in KINDS[type_].operations and type_ not in REDIRECT_MAPS | NESTED]

REPLACED = {MapType.HASH, MapType.LRU_HASH, MapType.LPM_TRIE}


@pytest.mark.parametrize("type_", KEYED)
def test_a_lookup_gives_the_live_value(type_: MapType) -> None:
    """A program writes through the pointer. An update changes what the pointer points to, in the types that are updated
    in place; the others get another element."""
    key = KEY if type_ is MapType.LPM_TRIE else KEY[:4]
    table = model(MapSpec("m", type_, len(key), 2, 5))
    assert table.update(key, b"ab") == 0
    value = table.lookup(key)
    assert value == bytearray(b"ab")
    value[0] = ord("x")
    assert table.lookup(key) == b"xb"
    assert table.update(key, b"cd") == 0
    assert table.lookup(key) == b"cd"
    assert value == (b"xb" if type_ in REPLACED else b"cd")


@pytest.mark.parametrize("type_", KEYED)
def test_contents_are_there_from_the_start(type_: MapType) -> None:
    key = KEY if type_ is MapType.LPM_TRIE else KEY[:4]
    table = model(MapSpec("m", type_, len(key), 2, 5, contents=((key, b"ab"),)))
    assert table.lookup(key) == b"ab"


def test_a_queues_contents_come_in_their_order() -> None:
    contents = ((b"", b"ab"), (b"", b"cd"))
    assert model(MapSpec("m", MapType.QUEUE, 0, 2, 5, contents=contents)).peek() == b"ab"
    assert model(MapSpec("m", MapType.STACK, 0, 2, 5, contents=contents)).peek() == b"cd"


def test_arrays_of_any_size_cost_what_is_used() -> None:
    table = model(MapSpec("m", MapType.ARRAY, 4, 1 << 16, 1 << 14))
    assert table.update((7).to_bytes(4, "little"), b"x" * (1 << 16)) == 0
    assert table.update((1 << 14).to_bytes(4, "little"), b"x" * (1 << 16)) == -errno.E2BIG
    assert len(table) == 1 << 14
    assert next(table.keys()) == bytes(4)


def test_a_default_route_is_the_last_resort() -> None:
    nets = model(MapSpec("m", MapType.LPM_TRIE, 8, 1, 5))
    address = (32).to_bytes(4, "little") + b"\x0a\x01\x02\x03"
    assert nets.lookup(address) is None
    assert nets.update(bytes(8), b"d") == 0
    assert nets.lookup(address) == b"d"
    assert nets.update((8).to_bytes(4, "little") + b"\x0a\xff\xff\xff", b"t") == 0
    assert nets.lookup(address) == b"t"
    assert nets.delete((8).to_bytes(4, "little") + b"\x0a\x00\x00\x00") == 0
    assert nets.lookup(address) == b"d"
