"""Several native threads and the control plane on one map: nothing is lost, doubled, mixed up or beyond max_entries."""

from __future__ import annotations

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import Map, MapFull
from tests.appliance.maps.churning import Crew, Entries, engine_for

ROUNDS = 1_000_000


def entries(count: int, key_size: int, start: int = 0) -> Entries:
    """Keys that are numbers; each value says its key twice."""
    return [(n.to_bytes(key_size, "little"), n.to_bytes(8, "little") * 2) for n in range(start, start + count)]


def prefixes(lengths: range, host: int, networks: int) -> Entries:
    """10.N.0.host/length for N below `networks`."""
    made = {}
    for network in range(networks):
        for length in lengths:
            address = (10 << 24 | network << 16 | host) >> 32 - length << 32 - length
            key = length.to_bytes(4, "little") + address.to_bytes(4, "big")
            made[key] = (key * 2)[:16]
    return list(made.items())


def opened(spec: MapSpec) -> Crew:
    return Crew(Map.open(spec, 1), engine_for(spec))


def check_at_rest(crew: Crew, known: Entries) -> None:
    """What iteration finds is what there is, each entry once and with its own value."""
    found = list(crew.map.items())
    assert len(found) == len(dict(found)) == len(crew.map)
    assert set(found) <= set(known)
    assert all(crew.map.lookup(key) == value for key, value in found)


def check_refill(crew: Crew, known: Entries) -> None:
    """No element was lost or doubled: the map empties, and takes exactly max_entries again."""
    crew.map.clear()
    assert (len(crew.map), list(crew.map.items())) == (0, [])
    room = crew.map.spec.max_entries
    for key, value in known[:room]:
        crew.map.update(key, value)
    assert sorted(crew.map.items()) == sorted(known[:room])


@pytest.mark.parametrize(("max_entries", "keys"), [(40, 64), (1000, 1100), (1, 2)])
def test_hash_balances_under_churn(max_entries: int, keys: int) -> None:
    crew = opened(MapSpec("m", MapType.HASH, 8, 16, max_entries))
    known = entries(keys, 8)
    with crew.map:
        for _ in range(3):
            crew.churn(known, ROUNDS)
        crew.run()
        assert crew.total("inserted") - crew.total("deleted") == len(crew.map) <= max_entries
        check_at_rest(crew, known)
        check_refill(crew, known)
        with pytest.raises(MapFull):
            crew.map.update(*known[max_entries])


def test_max_entries_is_exact_under_concurrent_inserts() -> None:
    crew = opened(MapSpec("m", MapType.HASH, 8, 16, 20_000))
    with crew.map:
        for number in range(3):
            crew.insert(entries(10_000, 8, start=10_000 * number))
        crew.run()
        assert (crew.total("inserted"), crew.total("refused"), len(crew.map)) == (20_000, 10_000, 20_000)
        check_at_rest(crew, entries(30_000, 8))


@pytest.mark.parametrize("type_", [MapType.HASH, MapType.LRU_HASH])
def test_hash_readers_always_see_what_stays(type_: MapType) -> None:
    """The LRU hash has room for all, as otherwise nothing need stay."""
    crew = opened(MapSpec("m", type_, 8, 16, 300))
    stable, churned = entries(100, 8, start=1000), entries(200, 8)
    with crew.map:
        run_around(crew, stable, churned, stable)


@pytest.mark.parametrize(("max_entries", "keys"), [(40, 64), (500, 5000), (1, 3)])
def test_lru_hash_keeps_its_elements_under_eviction(max_entries: int, keys: int) -> None:
    crew = opened(MapSpec("m", MapType.LRU_HASH, 8, 16, max_entries))
    known = entries(keys, 8)
    with crew.map:
        for _ in range(3):
            crew.churn(known, ROUNDS)
        crew.run(lambda: check_known(crew, known))
        assert len(crew.map) <= max_entries
        check_at_rest(crew, known)
        check_refill(crew, known)


def run_around(crew: Crew, stable: Entries, churned: Entries, watched: Entries) -> None:
    """Two threads put the churned entries in and out, around what stays; one updates what stays, and one reads what is
    watched, always there."""
    for key, value in stable:
        crew.map.update(key, value)
    crew.churn(churned, ROUNDS)
    crew.churn(churned, ROUNDS)
    crew.rewrite(stable, ROUNDS // len(stable))
    crew.watch(watched, ROUNDS // len(watched))
    crew.run(lambda: check_stable(crew, stable, [*stable, *churned]))
    assert crew.total("wrong") == 0
    assert crew.total("inserted") - crew.total("deleted") + len(stable) == len(crew.map)
    check_at_rest(crew, [*stable, *churned])


def check_stable(crew: Crew, stable: Entries, known: Entries) -> None:
    """Iteration gives what stays exactly once, and no entry a value of another."""
    found = list(crew.map.items())
    assert set(found) <= set(known)
    assert sorted(set(found) & set(stable)) == sorted(stable)
    assert sum(entry in stable for entry in found) == len(stable)


def check_known(crew: Crew, known: Entries) -> None:
    """No entry that the control plane sees has a value of another."""
    values = dict(known)
    assert all(values[key] == value for key, value in crew.map.items())
    for key, value in known[:20]:
        assert crew.map.lookup(key) in (None, value)


def test_lpm_readers_always_find_the_longest_prefix_that_stays() -> None:
    """Prefixes above, beside and behind those that stay come and go; no address that is watched is in a longer one."""
    crew = opened(MapSpec("m", MapType.LPM_TRIE, 8, 16, 2000))
    networks = 12
    stable = prefixes(range(24, 25), 0, networks)
    churned = [
        *prefixes(range(8, 24), 0, networks),  # above, and around, the /24
        *prefixes(range(25, 33), 0xFF, networks),  # inside of it, but beside the address
        *prefixes(range(20, 33), 0x8100, networks),
    ]
    churned = [entry for entry in dict(churned).items() if entry not in stable]
    watched = [((32).to_bytes(4, "little") + key[4:7] + b"\x01", value) for key, value in stable]
    with crew.map:
        run_around(crew, stable, churned, watched)
        crew.map.clear()
        assert (len(crew.map), list(crew.map.items())) == (0, [])
