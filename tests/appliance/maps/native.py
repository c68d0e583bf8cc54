"""Maps as native code sees them: statuses instead of exceptions, one engine for all maps of a shape."""

from __future__ import annotations

import ctypes
from functools import cache

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import Engine
from appliance.maps import KINDS, Flag, Map, export_operations
from appliance.maps.operations import control_name


@cache
def engine_of(spec: MapSpec, processors: int) -> Engine:
    """The operations of the spec's shape, compiled."""
    module = ir.Module(spec.name)
    export_operations(module, spec, processors)
    return Engine(module)


class NativeMap:
    """A map, and its native operations with their own answers. A context manager."""

    def __init__(self, spec: MapSpec, processors: int = 1) -> None:
        engine = engine_of(spec, processors)
        self.map = Map.open(spec, processors)
        pointer, word = ctypes.c_void_p, ctypes.c_uint64
        shape = self.map.shape
        if "push" in KINDS[spec.type].operations:
            self._push = engine.function(control_name(shape, "push"), ctypes.c_int64, pointer, pointer, word)
            return
        self._update = engine.function(
            control_name(shape, "update"), ctypes.c_int64, pointer, pointer, pointer, word, ctypes.c_uint32
        )
        self._lookup = engine.function(
            control_name(shape, "lookup"), ctypes.c_void_p, pointer, pointer, ctypes.c_uint32
        )
        self._delete = engine.function(control_name(shape, "delete"), ctypes.c_int64, pointer, pointer)

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY, processor: int = 0) -> int:
        """0 or -errno."""
        return int(self._update(self.map.address, key, value, flags, processor))

    def delete(self, key: bytes) -> int:
        """0 or -errno."""
        return int(self._delete(self.map.address, key))

    def push(self, value: bytes, flags: int = Flag.ANY) -> int:
        """0 or -errno."""
        return int(self._push(self.map.address, value, flags))

    def lookup(self, key: bytes) -> bytes | None:
        """As a program looks it up."""
        value = self._lookup(self.map.address, key, 0)
        return ctypes.string_at(value, self.map.spec.value_size) if value else None

    def __enter__(self) -> NativeMap:
        return self

    def __exit__(self, *_: object) -> None:
        self.map.close()
