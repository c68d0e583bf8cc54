"""Tries of prefixes: the longest match, and prefixes that come and go."""

from __future__ import annotations

import errno
import ipaddress
import random

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import Flag, MapFull, model, open_map
from appliance.maps.lpm.layout import TrieLayout
from tests.appliance.maps.native import NativeMap

IPV4 = MapSpec("nets", MapType.LPM_TRIE, 8, 4, 16)


def key(prefix: str) -> bytes:
    network = ipaddress.ip_interface(prefix)
    return network.network.prefixlen.to_bytes(4, "little") + network.ip.packed


def found(nets: NativeMap, address: str) -> bytes | None:
    return nets.lookup(key(address))


def test_the_longest_prefix_wins() -> None:
    with NativeMap(IPV4) as nets:
        for prefix, value in (("10.0.0.0/8", b"ten."), ("10.1.0.0/16", b"one."), ("10.1.2.0/24", b"two.")):
            assert nets.update(key(prefix), value) == 0
        assert found(nets, "10.1.2.3") == b"two."
        assert found(nets, "10.1.3.3") == b"one."
        assert found(nets, "10.2.2.3") == b"ten."
        assert found(nets, "11.1.2.3") is None


def test_a_lookup_finds_nothing_longer_than_its_own_prefix() -> None:
    with NativeMap(IPV4) as nets:
        nets.update(key("10.0.0.0/8"), b"ten.")
        nets.update(key("10.1.0.0/16"), b"one.")
        assert found(nets, "10.1.0.0/16") == b"one."
        assert found(nets, "10.1.0.0/15") == b"ten."
        assert found(nets, "10.0.0.0/7") is None


def test_the_default_route_matches_everything() -> None:
    with NativeMap(IPV4) as nets:
        nets.update(key("0.0.0.0/0"), b"all.")
        nets.update(key("255.255.255.255/32"), b"last")
        assert found(nets, "0.0.0.0/0") == found(nets, "1.2.3.4") == found(nets, "255.255.255.254") == b"all."
        assert found(nets, "255.255.255.255") == b"last"


def test_statuses_are_those_of_linux() -> None:
    too_long = (33).to_bytes(4, "little") + bytes(4)
    with NativeMap(IPV4) as nets:
        assert nets.update(key("10.0.0.0/8"), b"ten.", Flag.EXIST) == -errno.ENOENT
        assert nets.update(key("10.0.0.0/8"), b"ten.", Flag.NOEXIST) == 0
        assert nets.update(key("10.0.0.0/8"), b"ten!", Flag.NOEXIST) == -errno.EEXIST
        assert nets.update(key("10.0.0.0/8"), b"ten?", Flag.EXIST) == 0
        assert nets.update(key("10.0.0.0/8"), b"ten?", 3) == -errno.EINVAL
        assert nets.update(too_long, b"long") == -errno.EINVAL
        assert nets.delete(too_long) == -errno.EINVAL
        assert nets.lookup(too_long) is None
        assert nets.delete(key("10.0.0.0/9")) == -errno.ENOENT
        assert nets.delete(key("10.0.0.0/7")) == -errno.ENOENT
        assert found(nets, "10.9.9.9") == b"ten?"
        assert nets.delete(key("10.0.0.0/8")) == 0
        assert nets.delete(key("10.0.0.0/8")) == -errno.ENOENT


def test_max_entries_counts_prefixes_and_not_branches() -> None:
    prefixes = [key(f"{number * 16}.0.0.0/4") for number in range(16)]  # 15 branches above them
    with open_map(IPV4) as nets:
        for prefix in prefixes:
            nets.update(prefix, b"four")
        assert len(nets) == 16
        nets.update(prefixes[3], b"more")
        with pytest.raises(MapFull):
            nets.update(key("0.0.0.0/0"), b"all.")
        assert nets.delete(prefixes[7])
        nets.update(key("0.0.0.0/0"), b"all.")
        assert nets.lookup(key("112.1.1.1")) == b"all."
        assert nets.lookup(key("48.1.1.1")) == b"more"


def test_bits_behind_the_prefix_mean_nothing() -> None:
    with NativeMap(IPV4) as nets:
        nets.update(key("10.1.2.3/8"), b"ten.")
        assert nets.update(key("10.9.9.9/8"), b"ten!", Flag.NOEXIST) == -errno.EEXIST
        assert list(nets.map.keys()) == [key("10.0.0.0/8")]
        assert nets.delete(key("10.255.0.0/8")) == 0


def test_nodes_are_used_again() -> None:
    with NativeMap(IPV4) as nets:
        for number in range(5000):
            prefixes = [key(f"10.{number % 256}.{part}.0/{20 + part % 12}") for part in range(0, 256, 16)]
            assert {nets.update(prefix, b"here") for prefix in prefixes} == {0}
            assert {nets.delete(prefix) for prefix in prefixes} == {0}
        assert (len(nets.map), list(nets.map.items())) == (0, [])


@pytest.mark.parametrize(("size", "max_entries"), [(1, 300), (4, 3000), (16, 3000), (20, 500)])
def test_large_random_sets_agree_with_the_model(size: int, max_entries: int) -> None:
    """Dense below a few beginnings, with prefixes of every length above them."""
    chance = random.Random(size)
    spec = MapSpec("nets", MapType.LPM_TRIE, 4 + size, 4, max_entries)
    beginnings = [chance.randbytes(size) for _ in range(8)]

    def random_key() -> bytes:
        shared = chance.randrange(8 * size + 1)
        data = int.from_bytes(chance.choice(beginnings), "big") ^ chance.getrandbits(8 * size) >> shared
        return chance.randrange(8 * size + 1).to_bytes(4, "little") + data.to_bytes(size, "big")

    oracle = model(spec)
    with NativeMap(spec) as nets:
        for step in range(12_000):
            one, value = random_key(), step.to_bytes(4, "little")
            if chance.random() < 0.3:
                gone = chance.choice([one, *list(oracle.keys())[:1]])
                assert nets.delete(gone) == oracle.delete(gone)
            else:
                assert nets.update(one, value) == oracle.update(one, value)
            address = (8 * size).to_bytes(4, "little") + random_key()[4:]
            assert nets.lookup(address) == oracle.lookup(address)
        assert sorted(nets.map.keys()) == sorted(oracle.keys())


def test_roots_suit_the_size_of_the_set() -> None:
    def root_bits(max_entries: int, data_size: int = 4) -> int:
        with NativeMap(MapSpec("nets", MapType.LPM_TRIE, 4 + data_size, 4, max_entries)) as nets:
            return TrieLayout.of(nets.map.shape).root_bits

    assert [root_bits(entries) for entries in (1, 1000, 10_000, 1 << 20, 1 << 22)] == [8, 8, 12, 19, 20]
    assert root_bits(1 << 20, data_size=1) == 8
