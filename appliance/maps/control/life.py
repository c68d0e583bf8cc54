"""A map's life: its memory, and who keeps it.

    open ──> fill ──> … ──> close ──> (held? lives on) ──> ended ──(grace period)──> memory given back
                                   ^
    hold ──────────────────────────┴── release

Whoever opens a map closes it. Others may hold it meanwhile: a map of maps that it was put into, a pin. A map that is
held when it is closed lives on, and ends with the last one who lets it go. From then on nobody finds it; who has found
it before is a reader, and the memory is given back once all of them have let go (appliance.epochs). Source of the idea:
the reference counts of kernel/bpf/syscall.c.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

from appliance.closeable import Closeable
from appliance.ebpf.spec import MapSpec
from appliance.epochs import default_domain
from appliance.errors import CannotRun
from appliance.maps.control.compiled import control_plane_of
from appliance.maps.errors import OperationRefused
from appliance.maps.kind import Shape
from appliance.maps.map_ops import c_signature, python_name
from appliance.maps.operations import control_name, exported_operations, kind_of, memory_size
from appliance.memory import PRIVATE, Reserve

Result = TypeVar("Result")


class OpenMap(Closeable):
    """Memory in the shape that a declaration gives it. A context manager; closing twice is harmless.

    Any thread may use it; the control plane's operations on one map wait for each other, workers wait for none.
    """

    @classmethod
    def open(cls, spec: MapSpec, processors: int, reserve: Reserve = PRIVATE) -> Self:
        """Check the declaration and take the memory from the reserve.

        `processors` is the number of workers: a per-CPU map has one value for each. Raises MapRefused if no map can
        be made so, CannotRun if the machine hasn't the memory.
        """
        return cls(spec, processors, reserve)

    def __init__(self, spec: MapSpec, processors: int, reserve: Reserve) -> None:
        self._kind = kind_of(spec)
        self.spec = spec
        self.processors = processors
        self.reserve = reserve
        self.shape = Shape.of(spec, processors)
        size = memory_size(spec, processors)
        try:
            self._memory = reserve.take(self._kind.memory(self.shape, size))
        except OSError as error:
            raise CannotRun(f"map {spec.name!r}: this machine has not {size} bytes of memory for it") from error
        self._kind.initialise(self._memory, self.shape)
        self.address = self._memory.address
        self._native: dict[str, Callable[..., int]] = {}  # what was called so far
        self._filled = False
        self._holders = 0
        self._given_up = False
        self._closed = False
        self._lock = threading.Lock()  # one operation of the control plane at a time
        self._keeping = threading.Lock()  # who keeps it; held for a moment
        self._reader = f"an operation on map {spec.name!r}"

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
        """Whether it has ended: it can't be used, and its memory is given back once no reader is left."""
        return self._closed

    @property
    def held(self) -> bool:
        """Whether it will live on when it is closed."""
        return self._holders > 0

    def hold(self) -> None:
        """Keep it, whatever its owner does, until `release`. Once for each holder. Raises RuntimeError if closed."""
        with self._keeping:
            self._check_open()
            self._holders += 1

    def release(self) -> None:
        """Let go what `hold` kept."""
        with self._keeping:
            self._holders -= 1
            ends = self._ends()
        if ends:
            self._end()

    def close(self) -> None:
        """Give it up. Unless somebody holds it, it ends."""
        with self._keeping:
            self._given_up = True
            ends = self._ends()
        if ends:
            self._end()

    def _ends(self) -> bool:
        """Whether it ends now. What comes after that is closed."""
        ends = self._given_up and self._holders == 0 and not self._closed
        self._closed = self._closed or ends
        return ends

    def _end(self) -> None:
        """It is closed: have the memory given back. Not with a lock held, as `Domain.retire` says."""
        default_domain.retire(self._memory.close)

    # for those who build on it

    def _fill(self) -> None:
        """Put the declared contents in."""
        raise NotImplementedError

    @property
    def _copies(self) -> int:
        return self.processors if self._kind.per_processor else 1

    def _call(self, operation: str, *arguments: Any) -> int:
        with default_domain.reading(self._reader), self._lock:
            return self._function(operation)(self.address, *arguments)

    def _run(self, loop: Callable[..., Result], operations: tuple[str, ...], *arguments: Any) -> Result:
        """One of the loops of `batches`, around the compiled operations."""
        with default_domain.reading(self._reader), self._lock:
            return loop(*map(self._function, operations), self.address, *arguments)

    def _function(self, operation: str) -> Callable[..., int]:
        """A compiled operation; good inside of a read-side critical section."""
        self._check_open()
        if operation not in self._native:
            if operation not in exported_operations(self._kind):
                raise self._refusal(operation)
            native = control_plane_of(self.spec, self.processors, operation)
            self._native[operation] = native.function(control_name(self.shape, operation), *c_signature(operation))
        return self._native[operation]

    def _refusal(self, operation: str) -> OperationRefused:
        what = f"a map of type {self.spec.type.value} has no {python_name(operation)}"
        known = ", ".join(dict.fromkeys(map(python_name, exported_operations(self._kind))))
        return OperationRefused(self.spec.name, what, hint=f"it has {known}")

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"map {self.spec.name!r} is closed")
