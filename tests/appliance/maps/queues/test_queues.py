"""Queues, stacks and bloom filters: what the control plane says, and threads that lose nothing."""

from __future__ import annotations

import ctypes
import threading

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import Flag, MapFrozen, MapFull, MapRefused, OperationRefused, open_map
from appliance.maps.operations import control_name
from tests.appliance.maps.native import NativeMap, engine_of

QUEUE = MapSpec("jobs", MapType.QUEUE, 0, 4, 2)
STACK = MapSpec("jobs", MapType.STACK, 0, 4, 2)
BLOOM = MapSpec("seen", MapType.BLOOM_FILTER, 0, 4, 1000)


@pytest.mark.parametrize(("spec", "order"), [(QUEUE, [b"two ", b"thre"]), (STACK, [b"thre", b"two "])])
def test_a_full_one_refuses_or_overwrites_its_oldest(spec: MapSpec, order: list[bytes]) -> None:
    with open_map(spec) as jobs:
        jobs.push(b"one ")
        jobs.push(b"two ")
        with pytest.raises(MapFull, match=r"^map 'jobs': it is full: max_entries is 2\n"):
            jobs.push(b"thre")
        jobs.push(b"thre", Flag.EXIST)
        assert (len(jobs), jobs.peek()) == (2, order[0])
        assert [jobs.pop(), jobs.pop(), jobs.pop(), jobs.peek()] == [*order, None, None]


def test_contents_clear_and_reset() -> None:
    contents = ((b"", b"one "), (b"", b"two "))
    with open_map(MapSpec("jobs", MapType.QUEUE, 0, 4, 2, contents=contents)) as jobs:
        jobs.clear()
        assert len(jobs) == 0
        jobs.reset()
        assert [jobs.pop(), jobs.pop()] == [b"one ", b"two "]


def test_maps_without_keys_say_what_they_have() -> None:
    with open_map(QUEUE) as jobs, open_map(BLOOM) as seen, open_map(MapSpec("h", MapType.HASH, 4, 4, 2)) as hash:
        for refused, what in (
            (lambda: jobs.lookup(b""), "map 'jobs': a map of type queue has no lookup"),
            (lambda: list(jobs), "map 'jobs': a map of type queue has no items"),
            (lambda: jobs.may_hold(b"four"), "map 'jobs': a map of type queue has no may_hold"),
            (seen.pop, "map 'seen': a map of type bloom_filter has no pop"),
            (seen.peek, "map 'seen': a map of type bloom_filter has no peek"),
            (lambda: hash.push(b"four"), "map 'h': a map of type hash has no push"),
            (lambda: jobs.push(b"five!"), "map 'jobs': a value of 5 bytes where 4 are declared"),
            (lambda: jobs.push(b"four", Flag.NOEXIST), "map 'jobs': this kind of map can't do that"),
        ):
            with pytest.raises(OperationRefused) as error:
                refused()
            assert str(error.value).startswith(what)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (MapSpec("m", MapType.STACK, 4, 4, 1), "map 'm' (stack): a key of 4 bytes\n  hint: a stack has no keys"),
        (MapSpec("m", MapType.BLOOM_FILTER, 4, 4, 1), "map 'm' (bloom_filter): a key of 4 bytes\n  hint: a bloom"),
        (MapSpec("m", MapType.BLOOM_FILTER, 0, 513, 1), "map 'm' (bloom_filter): a value of 513 bytes\n  hint: a"),
        (MapSpec("m", MapType.QUEUE, 0, 4, 1, flags=1), "map 'm' (queue): map_flags 0x1 mean nothing here"),
    ],
)
def test_declarations_that_no_map_can_be_made_of(spec: MapSpec, message: str) -> None:
    with pytest.raises(MapRefused) as refused:
        open_map(spec)
    assert str(refused.value).startswith(message)


def test_a_frozen_map_is_read_only_to_the_control_plane() -> None:
    with open_map(QUEUE) as jobs:
        jobs.push(b"one ")
        jobs.freeze()
        for change in (lambda: jobs.push(b"two "), jobs.pop, jobs.clear):
            with pytest.raises(MapFrozen, match=r"^map 'jobs': it is frozen: only programs may change it$"):
                change()
        assert jobs.peek() == b"one "


def test_a_filter_is_seldom_wrong() -> None:
    with open_map(BLOOM) as seen:
        for number in range(1000):
            seen.push(number.to_bytes(4, "little"))
        assert all(seen.may_hold(number.to_bytes(4, "little")) for number in range(1000))
        wrong = sum(seen.may_hold(number.to_bytes(4, "little")) for number in range(1000, 11_000))
        assert wrong < 1000  # one in thirty or fewer are expected, whatever the seeds
        assert 900 < len(seen) <= 1000


@pytest.mark.parametrize("type_", [MapType.QUEUE, MapType.STACK])
def test_threads_lose_and_double_nothing(type_: MapType) -> None:
    """Three threads push numbers of their own, three pop: in the end every number was popped once."""
    spec, each = MapSpec("m", type_, 0, 8, 50), 1000
    with NativeMap(spec) as native:
        pop = engine_of(spec, 1).function(
            control_name(native.map.shape, "pop"), ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p
        )
        popped: list[list[int]] = [[], [], []]

        def produce(first: int) -> None:
            for number in range(first, first + each):
                while native.push(number.to_bytes(8, "little")) != 0:
                    pass

        def consume(mine: list[int]) -> None:
            value = ctypes.create_string_buffer(8)
            while len(mine) < each:
                if pop(native.map.address, value) == 0:
                    mine.append(int.from_bytes(value.raw, "little"))

        threads = [threading.Thread(target=produce, args=(number * each,)) for number in range(3)]
        threads += [threading.Thread(target=consume, args=(mine,)) for mine in popped]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(number for mine in popped for number in mine) == list(range(3 * each))
        assert len(native.map) == 0
