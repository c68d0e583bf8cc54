"""Threads that write to one map each at their own place: arrays, per-CPU maps, bloom filters. None disturbs another."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from tests.appliance.maps.native import NativeMap

THREADS, ROUNDS = 3, 3000


def key(number: int) -> bytes:
    return number.to_bytes(4, "little")


def value(number: int) -> bytes:
    return number.to_bytes(8, "little")


def together(work: Callable[[int], None], meanwhile: Callable[[], None]) -> None:
    """`work` in every thread, with its number; an error in one of them is raised here."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        meanwhile()
        threads[0].join(0.001)
    for thread in threads:
        thread.join()
    assert not errors, errors


def test_entries_of_an_array_are_apart() -> None:
    """Thread 0 writes 0, 3, 6 … to its index, thread 1 writes 1, 4, 7 …: nobody ever sees another's number there."""
    with NativeMap(MapSpec("m", MapType.ARRAY, 4, 8, THREADS)) as native:

        def work(mine: int) -> None:
            for number in range(mine, ROUNDS * THREADS, THREADS):
                assert native.update(key(mine), value(number)) == 0
                assert native.lookup(key(mine)) == value(number)

        def meanwhile() -> None:
            for index, held in native.map.items():
                assert held == value(0) or int.from_bytes(held, "little") % THREADS == int.from_bytes(index, "little")

        together(work, meanwhile)
        assert [int.from_bytes(held, "little") // THREADS for _, held in native.map.items()] == [ROUNDS - 1] * THREADS


@pytest.mark.parametrize("type_", [MapType.PERCPU_ARRAY, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH])
def test_values_of_processors_are_apart(type_: MapType) -> None:
    """Each thread is a processor, and counts in the same entries; Python sees only numbers that each has written."""
    with NativeMap(MapSpec("m", type_, 4, 8, 4), processors=THREADS) as native:
        for number in range(4):
            native.map.update(key(number), value(0))

        def work(mine: int) -> None:
            for number in range(mine, ROUNDS * THREADS, THREADS):
                assert native.update(key(number % 4), value(number), processor=mine) == 0
                assert native.map.lookup(key(number % 4), mine) == value(number)

        def meanwhile() -> None:
            for _, held in native.map.items():
                numbers = [int.from_bytes(held[8 * n : 8 * n + 8], "little") for n in range(THREADS)]
                assert all(number in (0, number // THREADS * THREADS + n) for n, number in enumerate(numbers))

        together(work, meanwhile)
        assert len(native.map) == 4
        last = [
            max(int.from_bytes(held[8 * n : 8 * n + 8], "little") for _, held in native.map.items()) for n in range(3)
        ]
        assert last == [(ROUNDS - 1) * THREADS + n for n in range(THREADS)]


def test_a_filter_forgets_nothing_under_threads() -> None:
    with NativeMap(MapSpec("m", MapType.BLOOM_FILTER, 0, 4, ROUNDS * THREADS)) as native:

        def work(mine: int) -> None:
            for number in range(mine, ROUNDS * THREADS, THREADS):
                assert native.push(key(number)) == 0
                assert native.map.may_hold(key(number))

        together(work, lambda: None)
        assert all(native.map.may_hold(key(number)) for number in range(ROUNDS * THREADS))
        wrong = sum(native.map.may_hold(key(number)) for number in range(ROUNDS * THREADS, 2 * ROUNDS * THREADS))
        assert wrong < ROUNDS * THREADS // 10
