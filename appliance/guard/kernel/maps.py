"""Maps of the kernel with the face of those here, so that the same typed access stands on both.

What the kernel refuses becomes the error that a map here would raise (`appliance.maps.errors`).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence

from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import MapSpec
from appliance.guard.kernel.errors import NotForKernel
from appliance.maps import KINDS, Flag
from appliance.maps.errors import EntryExists, MapError, MapFrozen, MapFull, NoSuchEntry, OperationRefused
from hooks.kernel.maps import KernelMap, possible_processors
from hooks.kernel.ring_buffer import KernelRing
from hooks.linux.bpf import BPF_F_RDONLY_PROG

_NUMBERS: Mapping[MapType, int] = {type_: number for number, type_ in LINUX.map_types.items()}
GIVEN = (
    MapType.ARRAY, MapType.PERCPU_ARRAY, MapType.HASH, MapType.PERCPU_HASH, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH,
    MapType.LPM_TRIE, MapType.QUEUE, MapType.STACK, MapType.RINGBUF,
)  # fmt: skip
_FAILURES: Mapping[int, type[MapError]] = {
    errno.EEXIST: EntryExists,
    errno.ENOENT: NoSuchEntry,
    errno.E2BIG: MapFull,
    errno.ENOSPC: MapFull,
    errno.EPERM: MapFrozen,
}


def check_map(spec: MapSpec, source: str) -> None:
    """Raises NotForKernel for a declaration that this engine doesn't give to the kernel."""
    if spec.type not in GIVEN:
        known = ", ".join(type_.value for type_ in GIVEN)
        what = f"the map {spec.name!r} is of type {spec.type.value}"
        raise NotForKernel(what, where=source, hint=f"the kernel's engine gives maps of {known}")
    if spec.lock is not None:
        raise NotForKernel(f"the map {spec.name!r} has a lock in its values", where=source)


def kernel_map(spec: MapSpec) -> KernelMap:
    """A new map of the kernel, with nothing in it. Raises HookError, PrivilegeError."""
    if spec.type is MapType.RINGBUF:
        return KernelRing(spec.max_entries)
    flags = spec.flags | (BPF_F_RDONLY_PROG if spec.read_only else 0)
    copied = -(-spec.value_size // 8) * 8 * possible_processors() if KINDS[spec.type].per_processor else None
    return KernelMap(_NUMBERS[spec.type], spec.key_size, spec.value_size, spec.max_entries, flags, copied=copied)


class KernelTable:
    """One map of a loaded object, as bytes (what `appliance.maps.Map` offers of entries). Any thread."""

    def __init__(self, spec: MapSpec, opened: KernelMap) -> None:
        self.spec = spec
        self.opened = opened
        self.processors = possible_processors() if KINDS[spec.type].per_processor else 1
        self._step = -(-spec.value_size // 8) * 8 if self.processors > 1 or opened.copied != spec.value_size else 0

    def fill(self) -> None:
        """Put the declared contents in; what is read-only is frozen then."""
        for key, value in self.spec.contents:
            self.update(key, value)
        if self.spec.read_only:
            self.opened.freeze()

    def lookup(self, key: bytes) -> bytes | None:
        """A copy of the value, or None; of a per-CPU map, of the first processor."""
        found = self.lookup_all(key)
        return found[0] if found else None

    def lookup_all(self, key: bytes) -> list[bytes]:
        """The value of every processor, in order; nothing without an entry."""
        self._check(key, self.spec.key_size, "key")
        found = self.opened.lookup(key)
        return [] if found is None else self._split(found)

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> None:
        """Put `value` under `key`, in a per-CPU map for every processor. Raises MapError."""
        self.update_all(key, [value] * self.processors, flags)

    def update_all(self, key: bytes, values: Sequence[bytes], flags: int = Flag.ANY) -> None:
        """`update` with one value for every processor, in order."""
        self._check(key, self.spec.key_size, "key")
        for value in values:
            self._check(value, self.spec.value_size, "value")
        if len(values) != self.processors:
            raise OperationRefused(self.spec.name, f"{len(values)} values: it has {self.processors} of each key")
        self._put(key, b"".join(value.ljust(self._step, b"\0") for value in values), flags)

    def update_batch(self, entries: Iterable[tuple[bytes, bytes]], flags: int = Flag.ANY) -> int:
        """`update` each, in order; their number."""
        number = 0
        for key, value in entries:
            self.update(key, value, flags)
            number += 1
        return number

    def delete(self, key: bytes) -> bool:
        """Take the entry out; False if there is none. Raises OperationRefused where entries can't be deleted."""
        self._check(key, self.spec.key_size, "key")
        try:
            return self.opened.delete(key)
        except OSError as error:
            raise self._failure(error) from None

    def lookup_and_delete(self, key: bytes) -> bytes | None:
        """Take the entry out and give its value; None if there is none."""
        self._check(key, self.spec.key_size, "key")
        try:
            return self.opened.take(key)
        except OSError as error:
            raise self._failure(error) from None

    def keys(self) -> Iterator[bytes]:
        """Every key; what comes or goes meanwhile may be among them or not."""
        return self.opened.keys()

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry; of a per-CPU map the values of all processors, one after the other."""
        for key in self.keys():
            values = self.lookup_all(key)
            if values:
                yield key, b"".join(values)

    def clear(self) -> None:
        """Take every entry out; an array's values become zero."""
        for key in [*self.keys()]:
            try:
                self.delete(key)
            except OperationRefused:
                self.update(key, bytes(self.spec.value_size))

    def __len__(self) -> int:
        return sum(1 for _ in self.keys())

    def _split(self, data: bytes) -> list[bytes]:
        if not self._step:
            return [data]
        return [data[at : at + self.spec.value_size] for at in range(0, len(data), self._step)]

    def _put(self, key: bytes, value: bytes, flags: int) -> None:
        try:
            self.opened.update(key, value, flags)
        except OSError as error:
            raise self._failure(error) from None

    def _check(self, data: bytes, size: int, what: str) -> None:
        if len(data) != size:
            raise OperationRefused(self.spec.name, f"a {what} of {len(data)} bytes where {size} are declared")

    def _failure(self, error: OSError) -> MapError:
        kind = _FAILURES.get(error.errno or 0, OperationRefused)
        return kind(self.spec.name, f"the kernel says: {error.strerror}")
