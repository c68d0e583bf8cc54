"""Arrays, shared and per-CPU, with Linux's answers."""

from __future__ import annotations

import errno

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import Flag, NoSuchEntry, OperationRefused, open_map
from tests.appliance.maps.native import NativeMap

ARRAY = MapSpec("table", MapType.ARRAY, 4, 5, 3)
PERCPU = MapSpec("counters", MapType.PERCPU_ARRAY, 4, 8, 3)


def index(number: int) -> bytes:
    return number.to_bytes(4, "little")


@pytest.mark.parametrize("spec", [ARRAY, PERCPU])
def test_every_entry_is_there_from_the_start(spec: MapSpec) -> None:
    with NativeMap(spec) as array:
        assert [array.lookup(index(number)) for number in range(3)] == [bytes(spec.value_size)] * 3
        assert list(array.map.keys()) == [index(0), index(1), index(2)]
        assert len(array.map) == 3


@pytest.mark.parametrize("spec", [ARRAY, PERCPU])
def test_statuses_are_those_of_linux(spec: MapSpec) -> None:
    value = b"v" * spec.value_size
    with NativeMap(spec) as array:
        assert array.update(index(1), value, Flag.ANY) == 0
        assert array.update(index(2), value, Flag.EXIST) == 0
        assert array.update(index(1), value, Flag.NOEXIST) == -errno.EEXIST
        assert array.update(index(3), value, Flag.ANY) == -errno.E2BIG
        assert array.update(index(3), value, Flag.NOEXIST) == -errno.E2BIG
        assert array.update(index(1), value, 3) == -errno.EINVAL
        assert array.update(index(1), value, 1 << 40) == -errno.EINVAL
        assert array.delete(index(1)) == -errno.EINVAL
        assert array.lookup(index(3)) is None
        assert array.lookup(b"\xff" * 4) is None
        assert [array.lookup(index(number)) for number in range(3)] == [bytes(spec.value_size), value, value]


def test_values_do_not_overlap() -> None:
    with NativeMap(ARRAY) as array:
        for number in range(3):
            array.update(index(number), bytes([number + 1]) * 5)
        assert dict(array.map.items()) == {index(number): bytes([number + 1]) * 5 for number in range(3)}


def test_python_names_what_is_wrong() -> None:
    with open_map(ARRAY) as array:
        with pytest.raises(NoSuchEntry) as no_entry:
            array.update(index(3), bytes(5))
        assert str(no_entry.value) == "map 'table': there is no entry under that key (max_entries is 3)"
        with pytest.raises(OperationRefused) as refused:
            array.delete(index(0))
        assert str(refused.value) == "map 'table': this kind of map can't do that, or not with that key"


def test_each_processor_has_its_own_value() -> None:
    with NativeMap(PERCPU, processors=3) as counters:
        counters.map.update(index(1), b"everyone")
        assert counters.update(index(1), b"only one", processor=1) == 0
        assert counters.map.lookup_all(index(1)) == [b"everyone", b"only one", b"everyone"]
        assert counters.map.lookup(index(1), processor=1) == b"only one"
        assert dict(counters.map.items())[index(1)] == b"everyoneonly oneeveryone"
        assert counters.map.lookup_all(index(3)) == []
        with pytest.raises(OperationRefused, match="there is no processor 3: it has 3"):
            counters.map.lookup(index(1), processor=3)


def test_processors_share_no_cache_line() -> None:
    with NativeMap(PERCPU, processors=2) as counters:
        assert counters.map.memory_size == 2 * 64


def test_clear_makes_values_zero() -> None:
    with open_map(PERCPU, processors=2) as counters:
        counters.update(index(2), b"nonsense")
        counters.clear()
        assert counters.lookup_all(index(2)) == [bytes(8)] * 2
