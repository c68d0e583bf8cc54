"""A map's life: its memory, and who keeps it.

    open ──> fill ──> … ──> close ──> (held? lives on) ──> memory given back
                                   ^
    hold ──────────────────────────┴── release

Whoever opens a map closes it. Others may hold it meanwhile: a map of maps that it was put into, a pin. A map that is
held when it is closed lives on, and ends with the last one who lets it go: the native memory that
others point into is never given back under them. Source of the idea: the reference counts of kernel/bpf/syscall.c.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

from appliance.closing import Closing
from appliance.ebpf.spec import MapSpec
from appliance.errors import CannotRun
from appliance.maps.checks import check_memory
from appliance.maps.control.compiled import control_plane_of
from appliance.maps.errors import OperationRefused
from appliance.maps.kind import Shape
from appliance.maps.map_ops import c_signature, python_name
from appliance.maps.operations import control_name, exported_operations, kind_of

Result = TypeVar("Result")


class OpenMap(Closing):
    """Memory in the shape that a declaration gives it. A context manager; closing twice is harmless."""

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
            self._memory = self._kind.memory(self.shape, size)
        except OSError as error:
            raise CannotRun(f"map {spec.name!r}: this machine has not {size} bytes of memory for it") from error
        self._kind.initialise(self._memory, self.shape)
        self.address = self._memory.address
        self._native: dict[str, Callable[..., int]] = {}  # what was called so far
        self._filled = False
        self._holders = 0
        self._given_up = False
        self._closed = False
        self._lock = threading.Lock()

    @property
    def memory_size(self) -> int:
        """Bytes reserved; pages that no entry touched yet take no memory."""
        return self._memory.size

    def fill(self) -> None:
        """Put the declared contents in, if they are not in yet. Raises what `update` raises if they don't fit."""
        if not self._filled:
            self._fill()
            self._filled = True

    # who keeps it

    @property
    def closed(self) -> bool:
        """Whether its memory was given back."""
        return self._closed

    @property
    def held(self) -> bool:
        """Whether it will live on when it is closed."""
        return self._holders > 0

    def hold(self) -> None:
        """Keep it, whatever its owner does, until `release`. Once for each holder. Raises RuntimeError if closed."""
        with self._lock:
            self._check_open()
            self._holders += 1

    def release(self) -> None:
        """Let go what `hold` kept. No native code may work on the map any more, if this holder was the last."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0 and self._given_up:
                self._end()

    def close(self) -> None:
        """Give it up. If nobody holds it, the memory is given back: no native code may work on it any more."""
        with self._lock:
            self._given_up = True
            if self._holders == 0 and not self._closed:
                self._end()

    def _end(self) -> None:
        self._closed = True
        self._memory.close()

    # for those who build on it

    def _fill(self) -> None:
        """Put the declared contents in."""
        raise NotImplementedError

    @property
    def _copies(self) -> int:
        return self.processors if self._kind.per_processor else 1

    def _call(self, operation: str, *arguments: Any) -> int:
        with self._lock:
            return self._function(operation)(self.address, *arguments)

    def _run(self, loop: Callable[..., Result], operations: tuple[str, ...], *arguments: Any) -> Result:
        """One of the loops of `batches`, around the compiled operations."""
        with self._lock:
            return loop(*map(self._function, operations), self.address, *arguments)

    def _function(self, operation: str) -> Callable[..., int]:
        """A compiled operation; good as long as the lock is held."""
        self._check_open()
        if operation not in self._native:
            if operation not in exported_operations(self._kind):
                raise self._refusal(operation)
            native = control_plane_of(self.spec, self.processors)
            self._native[operation] = native.function(control_name(self.shape, operation), *c_signature(operation))
        return self._native[operation]

    def _refusal(self, operation: str) -> OperationRefused:
        what = f"a map of type {self.spec.type.value} has no {python_name(operation)}"
        known = ", ".join(dict.fromkeys(map(python_name, exported_operations(self._kind))))
        return OperationRefused(self.spec.name, what, hint=f"it has {known}")

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"map {self.spec.name!r} is closed")
