"""An arena's memory in this process and in children that were forked behind it."""

import ctypes
import os

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps.control.opening import control_plane
from appliance.memory import PAGE, Arena, Plain, RingMemory, Rings
from appliance.memory.arena import HUGE_PAGE
from tests.child import in_child

SIZE = 1 << 30


@pytest.fixture
def arena() -> Arena:
    return Arena(SIZE)


def test_a_child_finds_it_at_the_same_address(arena: Arena) -> None:
    memory = arena.take(Plain(100))

    def write() -> bool:
        ctypes.memmove(memory.address, b"theirs", 6)
        return True

    assert in_child(write)
    assert memory.read(0, 6) == b"theirs"


def test_what_is_taken_behind_the_fork_is_found_too(arena: Arena) -> None:
    ask, told = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        address = int.from_bytes(os.read(ask[0], 8), "little")
        os.write(told[1], ctypes.string_at(address, 5))
        os._exit(0)
    memory = arena.take(Plain(5))
    memory.write(0, b"later")
    os.write(ask[1], memory.address.to_bytes(8, "little"))
    assert os.read(told[0], 5) == b"later"
    os.waitpid(child, 0)


def test_memory_that_was_given_back_is_zero_and_is_given_again(arena: Arena) -> None:
    first = arena.take(Plain(3 * PAGE))
    first.write(0, b"\xff" * 3 * PAGE)
    behind = arena.take(Plain(PAGE))
    first.close()
    first.close()
    second, third = arena.take(Plain(PAGE)), arena.take(Plain(2 * PAGE))
    assert second.address == first.address
    assert third.address == first.address + PAGE
    assert third.read(0, 2 * PAGE) == bytes(2 * PAGE)
    assert behind.address == first.address + 3 * PAGE


def test_huge_pages_begin_at_multiples_of_their_size(arena: Arena) -> None:
    small = arena.take(Plain(10))
    large = arena.take(Plain(3 * HUGE_PAGE, huge_pages=True))
    assert large.address % HUGE_PAGE == 0
    assert arena.huge == ((large.address, 3 * HUGE_PAGE),)
    assert small.address < large.address
    assert small.address + PAGE <= arena.take(Plain(PAGE)).address < large.address
    large.close()
    assert arena.huge == ()


def test_the_data_of_rings_is_there_twice_in_a_child_as_well(arena: Arena) -> None:
    before = os.getpid()
    memory = arena.take(Rings(PAGE, PAGE, 2))
    assert isinstance(memory, RingMemory)
    memory.write(PAGE, b"wrap")
    assert memory.read(2 * PAGE, 4) == b"wrap"

    def adopt() -> bool:
        arena.adopt(arena.mirrors, arena.huge)
        return os.getpid() != before and ctypes.string_at(memory.address + 2 * PAGE, 4) == b"wrap"

    assert in_child(adopt)
    memory.close()
    again = arena.take(Plain(6 * PAGE))
    again.write(PAGE, b"plain")
    assert again.read(2 * PAGE, 5) == bytes(5)


def test_more_than_its_addresses_is_refused(arena: Arena) -> None:
    with pytest.raises(OSError, match="more than the arena's addresses"):
        arena.take(Plain(SIZE + PAGE))
    assert arena.take(Plain(PAGE)).size == PAGE


def test_a_map_that_lies_in_it_is_shared(arena: Arena) -> None:
    spec = MapSpec("hosts", MapType.LRU_HASH, 4, 8, 1 << 16)
    with control_plane(spec).open(spec, 1, arena) as map_:
        map_.update(b"key1", b"value__1")

        def update() -> bool:
            map_.update(b"key2", b"value__2")
            return map_.lookup(b"key1") == b"value__1"

        assert in_child(update)
        assert map_.lookup(b"key2") == b"value__2"
