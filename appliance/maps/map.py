"""An open map: memory that outlives any code, and Python's way to its entries.

    open ──> bind(engine) ──> lookup, update, delete, items … ──> bind(next engine) ──> … ──> close

A map is usable once it is bound to an engine whose module exports the operations of its shape; the first binding puts
the declared contents in. A reload binds the same map to the next engine: memory stays, code changes.

All of it may be called from any thread, while programs work on the same map.
"""

from __future__ import annotations

import ctypes
import errno
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.errors import CannotRun
from appliance.ir import Engine
from appliance.maps.checks import check_memory
from appliance.maps.errors import EntryExists, MapError, MapFrozen, MapFull, NoSuchEntry, OperationRefused
from appliance.maps.kind import Flag, Shape
from appliance.maps.memory import Memory
from appliance.maps.operations import control_name, export_operations, kind_of

_FAILURES: Mapping[int, type[MapError]] = {
    errno.EEXIST: EntryExists,
    errno.ENOENT: NoSuchEntry,
    errno.E2BIG: MapFull,
    errno.ENOSPC: MapFull,
    errno.EINVAL: OperationRefused,
}

_P, _U32, _U64, _I64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int64


@dataclass(frozen=True, slots=True)
class _Native:
    """The compiled operations of one engine; each keeps the engine's code alive."""

    read: Callable[..., int]
    update: Callable[..., int]
    delete: Callable[..., int]
    next: Callable[..., int]

    @classmethod
    def of(cls, engine: Engine, shape: Shape) -> _Native:
        def function(operation: str, *arguments: Any) -> Callable[..., int]:
            return engine.function(control_name(shape, operation), _I64, *arguments)

        return cls(
            read=function("read", _P, _P, _P, _U32),
            update=function("update", _P, _P, _P, _U64, _U32),
            delete=function("delete", _P, _P),
            next=function("next", _P, _U64, _P, _P),
        )


class Map:
    """One map. Keys and values are bytes, in the program's own (host) byte order. Closing twice is harmless."""

    @classmethod
    def open(cls, spec: MapSpec, processors: int) -> Self:
        """Check the declaration and reserve the memory.

        `processors` is the number of workers: a per-CPU map has one value for each. Raises MapRefused if no map can
        be made so, CannotRun if the machine hasn't the memory.
        """
        return cls(spec, processors)

    def __init__(self, spec: MapSpec, processors: int) -> None:
        self._kind = kind_of(spec)
        self.spec = spec
        self.processors = processors
        self.shape = Shape.of(spec, processors)
        size = self._kind.size(self.shape)
        check_memory(spec, size)
        try:
            self._memory = Memory(size)
        except OSError as error:
            raise CannotRun(f"map {spec.name!r}: this machine has not {size} bytes of memory for it") from error
        self._kind.initialise(self._memory, self.shape)
        self.address = self._memory.address
        self._native: _Native | None = None
        self._filled = False
        self._closed = False
        self._lock = threading.Lock()

    @property
    def memory_size(self) -> int:
        """Bytes reserved; pages that no entry touched yet take no memory."""
        return self._memory.size

    def bind(self, engine: Engine) -> None:
        """Use the operations of `engine` from now on, and put the declared contents in if they are not in yet.

        Once it returns, no call of the control plane runs in the older engine's code, which may then be closed.
        Raises KeyError if the engine's module doesn't export this shape (`export_operations`).
        """
        native = _Native.of(engine, self.shape)
        with self._lock:
            self._native = native
        if not self._filled:
            for key, value in self.spec.contents:
                self._put(key, value, Flag.ANY)
            self._filled = True

    # one entry

    def lookup(self, key: bytes, processor: int = 0) -> bytes | None:
        """A copy of the value, or None. To an LRU hash this is a use. Per-CPU maps: the value of one processor."""
        self._check(key, self.spec.key_size, "key")
        self._check_processor(processor)
        value = ctypes.create_string_buffer(self.spec.value_size)
        status = self._call("read", key, value, processor)
        return value.raw if status == 0 else None

    def lookup_all(self, key: bytes) -> list[bytes]:
        """The value of every processor, in order; one value if the map is not per-CPU; nothing without an entry."""
        values = (self.lookup(key, processor) for processor in range(self._copies))
        return [value for value in values if value is not None]

    def update(self, key: bytes, value: bytes, flags: Flag = Flag.ANY) -> None:
        """Put `value` under `key`, in a per-CPU map for every processor.

        Raises EntryExists (NOEXIST), NoSuchEntry (EXIST, or an index beyond an array), MapFull, OperationRefused
        (wrong sizes, a prefix that is too long), MapFrozen (a read-only map).
        """
        self._check_writable()
        self._put(key, value, flags)

    def delete(self, key: bytes) -> bool:
        """Take the entry out; False if there is none. Raises OperationRefused where entries can't be deleted."""
        self._check_writable()
        self._check(key, self.spec.key_size, "key")
        status = self._call("delete", key)
        if status not in (0, -errno.ENOENT):
            self._fail(status)
        return status == 0

    # all entries

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry, as (key, value). What stays in the map meanwhile comes exactly once; what comes or goes may.

        Per-CPU maps: the values of all processors, one after the other.
        """
        key = ctypes.create_string_buffer(self.spec.key_size)
        value = ctypes.create_string_buffer(self.spec.value_size * self._copies)
        position = 0
        while (position := self._call("next", position, key, value)) > 0:
            yield key.raw, value.raw

    def keys(self) -> Iterator[bytes]:
        """Every key; see `items`."""
        return (key for key, _ in self.items())

    def __iter__(self) -> Iterator[bytes]:
        return self.keys()

    def __len__(self) -> int:
        """The number of entries; an array's is always max_entries."""
        self._check_open()
        return self._kind.count(self._memory, self.shape)

    def clear(self) -> None:
        """Delete every entry; an array's values become zero."""
        for key in self:
            try:
                self.delete(key)
            except OperationRefused:
                self.update(key, bytes(self.spec.value_size))

    def reset(self) -> None:
        """Back to what the map was when it was first bound, its declared contents in it, to the last hidden detail
        (which entry an LRU hash gives up next). No native code may work on the map meanwhile."""
        with self._lock:
            self._check_open()
            self._memory.clear()
            self._kind.initialise(self._memory, self.shape)
        for key, value in self.spec.contents:
            self._put(key, value, Flag.ANY)

    # lifetime

    def close(self) -> None:
        """Give the memory back. No native code may work on the map any more."""
        with self._lock:
            self._closed = True
            self._native = None
            self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _copies(self) -> int:
        return self.processors if self._kind.per_processor else 1

    def _put(self, key: bytes, value: bytes, flags: Flag) -> None:
        self._check(key, self.spec.key_size, "key")
        self._check(value, self.spec.value_size, "value")
        for processor in range(self._copies):
            status = self._call("update", key, value, flags, processor)
            if status != 0:
                self._fail(status)

    def _call(self, operation: str, *arguments: Any) -> int:
        with self._lock:
            self._check_open()
            if self._native is None:
                raise RuntimeError(f"map {self.spec.name!r} is not bound to an engine yet")
            function: Callable[..., int] = getattr(self._native, operation)
            return function(self.address, *arguments)

    def _fail(self, status: int) -> None:
        failure = {**_FAILURES, **self._kind.failures}[-status]
        raise failure(self.spec.name, failure.meaning.format(self.spec.max_entries), hint=failure.advice)

    def _check(self, data: bytes, size: int, what: str) -> None:
        if len(data) != size:
            raise OperationRefused(self.spec.name, f"a {what} of {len(data)} bytes where {size} are declared")

    def _check_processor(self, processor: int) -> None:
        if not 0 <= processor < self._copies:
            raise OperationRefused(self.spec.name, f"there is no processor {processor}: it has {self._copies}")

    def _check_writable(self) -> None:
        if self.spec.read_only:
            raise MapFrozen(self.spec.name, "it is read-only: its contents came with the program")

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"map {self.spec.name!r} is closed")


class _OwnEngineMap(Map):
    """A map that nothing but the control plane uses, with an engine of its own."""

    def __init__(self, spec: MapSpec, processors: int) -> None:
        super().__init__(spec, processors)
        module = ir.Module(f"map {spec.name}")
        export_operations(module, spec, processors)
        self._engine = Engine(module)
        self.bind(self._engine)

    def close(self) -> None:
        super().close()
        self._engine.close()


def open_map(spec: MapSpec, processors: int = 1) -> Map:
    """Open a map that can be used at once, without a program: compiles the operations of its shape."""
    return _OwnEngineMap(spec, processors)
