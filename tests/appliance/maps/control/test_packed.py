"""Packed keys: the same as one entry after the other, and a difference that touches nothing else."""

from __future__ import annotations

import random
import struct
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import Map, MapFrozen, MapFull, OperationRefused
from appliance.maps.control.packed import CHUNK_KEYS, Replaced

TRIE = MapSpec("m", MapType.LPM_TRIE, 8, 4, 4096, 1)
HASH = MapSpec("m", MapType.HASH, 8, 4, 4096)
ONE, TWO = b"\1\0\0\0", b"\2\0\0\0"
prefixes = st.lists(
    st.tuples(st.integers(0, 32), st.integers(0, 2**32 - 1)).map(lambda given: key(*given)), max_size=60, unique=True
)


def key(length: int, address: int) -> bytes:
    """A trie's key; what is behind the prefix is 0."""
    return struct.pack("<I", length) + (address >> (32 - length) << (32 - length)).to_bytes(4, "big")


@pytest.mark.parametrize("spec", [TRIE, HASH], ids=["trie", "hash"])
def test_more_keys_than_one_native_call_takes(spec: MapSpec) -> None:
    keys = [key(32, number * 7919) for number in range(CHUNK_KEYS * 2 + 5)]
    with Map.open(spec, 1) as map_:
        assert map_.update_packed(b"".join(keys), ONE) == len(keys) == len(map_)
        assert dict(map_.items()) == dict.fromkeys(keys, ONE)
        found = map_.packed_keys()
        assert sorted(found[at : at + 8] for at in range(0, len(found), 8)) == sorted(keys)
        assert map_.delete_packed(b"".join(keys[:5] + keys[:5])) == 5
        assert set(map_.keys()) == set(keys[5:])


@given(prefixes, prefixes)
def test_what_is_replaced_is_the_difference(before: list[bytes], after: list[bytes]) -> None:
    with Map.open(TRIE, 1) as map_:
        map_.update_packed(b"".join(before), ONE)
        replaced = map_.replace_packed(b"".join(after), TWO)
        assert replaced == Replaced(len(set(after) - set(before)), len(set(before) - set(after)))
        expected = {key: ONE if key in before else TWO for key in after}
        assert dict(map_.items()) == expected, "what stays is not written again"


def test_a_full_map_makes_room_first() -> None:
    small = replace(TRIE, max_entries=4)
    before, after = ([key(32, base + number) for number in range(4)] for base in (0, 100))
    with Map.open(small, 1) as map_:
        map_.update_packed(b"".join(before), ONE)
        assert map_.replace_packed(b"".join(after), ONE) == Replaced(4, 4)
        assert set(map_.keys()) == set(after)
        with pytest.raises(MapFull):
            map_.replace_packed(b"".join(before + after), ONE)
        assert set(map_.keys()) == set(after), "a refusal changes nothing"


def test_what_is_not_packed_keys_is_refused() -> None:
    with Map.open(TRIE, 1) as map_:
        with pytest.raises(OperationRefused, match="9 bytes of packed keys where keys of 8 are declared"):
            map_.update_packed(bytes(9), ONE)
        with pytest.raises(OperationRefused, match="value of 3 bytes"):
            map_.update_packed(bytes(8), bytes(3))
        map_.freeze()
        for refused in (lambda: map_.update_packed(bytes(8), ONE), lambda: map_.replace_packed(bytes(8), ONE)):
            with pytest.raises(MapFrozen):
                refused()


def test_what_stays_is_always_found_while_the_rest_is_replaced() -> None:
    choice = random.Random(5)
    stays = [key(24, choice.getrandbits(32)) for _ in range(200)]
    others = [b"".join([*stays, *(key(32, choice.getrandbits(32)) for _ in range(1500))]) for _ in range(2)]
    missed, over = [], threading.Event()
    with Map.open(TRIE, 1) as map_:
        map_.update_packed(others[0], ONE)

        def look() -> None:
            while not over.is_set():
                missed.extend(one for one in stays if map_.lookup(struct.pack("<I", 32) + one[4:]) is None)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            for turn in range(40):
                map_.replace_packed(others[turn % 2], ONE)
        finally:
            over.set()
            thread.join()
    assert not missed
