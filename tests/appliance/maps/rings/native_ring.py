"""A ring buffer as native producers see it: statuses and pointers, through the operations that programs call."""

from __future__ import annotations

import ctypes

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import Map
from appliance.maps.control.ring_buffer import records
from appliance.maps.operations import control_name
from tests.appliance.maps.native import engine_of

PAGE = 4096


def ring_spec(size: int = PAGE, name: str = "events") -> MapSpec:
    return MapSpec(name, MapType.RINGBUF, 0, 0, size)


class NativeRing:
    """A bound ring buffer. A context manager."""

    def __init__(self, spec: MapSpec) -> None:
        engine = engine_of(spec, 1)
        self.map = Map.open(spec, 1)
        pointer, word = ctypes.c_void_p, ctypes.c_uint64

        def operation(name: str, result: object, *arguments: object) -> ctypes._FuncPointer:
            return engine.function(control_name(self.map.shape, name), result, pointer, *arguments)  # type: ignore

        self.native_output = operation("output", ctypes.c_int64, pointer, word, word)
        self._reserve = operation("reserve", pointer, word, word)
        self._commit = operation("commit", ctypes.c_int64, pointer, word, ctypes.c_uint32)
        self._buffer = ctypes.create_string_buffer(spec.max_entries)

    def output(self, data: bytes, flags: int = 0) -> int:
        """0 or -errno."""
        return int(self.native_output(self.map.address, data, len(data), flags))

    def reserve(self, size: int, flags: int = 0) -> int | None:
        """The record's address."""
        return self._reserve(self.map.address, size, flags)

    def commit(self, record: int, flags: int = 0, *, discard: bool = False) -> None:
        self._commit(self.map.address, record, flags, int(discard))

    def query(self, what: int) -> int:
        return self.map.query(what)

    def drain(self) -> list[bytes]:
        used = self.map.drain(self._buffer)
        return list(records(memoryview(self._buffer)[:used]))

    def __enter__(self) -> NativeRing:
        return self

    def __exit__(self, *_: object) -> None:
        self.map.close()
