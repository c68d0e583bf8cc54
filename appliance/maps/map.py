"""An open map's entries: Python's way to them. Its life is in `life`.

All of it may be called from any thread, while programs work on the same map.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import TypeVar

from appliance.ebpf.spec import MapSpec, MapType
from appliance.maps.batches import Entries, chunk_of, erase, joined, read, take, write
from appliance.maps.checks import RDONLY, WRONLY
from appliance.maps.errors import (
    EntryExists,
    MapError,
    MapFrozen,
    MapFull,
    MapUnreadable,
    NoSuchEntry,
    OperationRefused,
)
from appliance.maps.kind import EVERY_PROCESSOR, Flag
from appliance.maps.life import OpenMap
from appliance.maps.operations import exported_operations
from appliance.maps.perf_event_array import listen
from appliance.maps.ring_memory import RingMemory

T = TypeVar("T")

_FAILURES: Mapping[int, type[MapError]] = {
    errno.EEXIST: EntryExists,
    errno.ENOENT: NoSuchEntry,
    errno.E2BIG: MapFull,
    errno.ENOSPC: MapFull,
    errno.EINVAL: OperationRefused,
    errno.EAGAIN: MapFull,
}


class Map(OpenMap):
    """One map. Keys and values are bytes, in the program's own (host) byte order."""

    def __init__(self, spec: MapSpec, processors: int) -> None:
        super().__init__(spec, processors)
        self._frozen = False
        self._chunk = chunk_of(spec.key_size + spec.value_size * self._copies)

    # one entry

    def lookup(self, key: bytes, processor: int = 0, flags: int = Flag.ANY) -> bytes | None:
        """A copy of the value, or None. To an LRU hash this is a use. Per-CPU maps: the value of one processor.

        A lock in the value is told as zeros; with Flag.LOCK the copy is made while it is held.

        This and all that reads raises MapUnreadable if the map's flags let the control plane only write."""
        self._check_readable()
        self._check(key, self.spec.key_size, "key")
        self._check_processor(processor)
        value = ctypes.create_string_buffer(self.spec.value_size)
        if flags & ~Flag.LOCK or (flags and self.spec.lock is None):
            raise OperationRefused(self.spec.name, f"a lookup with flags {int(flags):#x}: its values have no lock")
        status = self._call("read", key, value, processor, flags)
        return value.raw if status == 0 else None

    def lookup_all(self, key: bytes) -> list[bytes]:
        """The value of every processor, in order; one value if the map is not per-CPU; nothing without an entry."""
        values = (self.lookup(key, processor) for processor in range(self._copies))
        return [value for value in values if value is not None]

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> None:
        """Put `value` under `key`, in a per-CPU map for every processor. A lock in it stays what it is; with Flag.LOCK
        it is held meanwhile.

        Raises EntryExists (NOEXIST), NoSuchEntry (EXIST, or an index beyond an array), MapFull, OperationRefused
        (wrong sizes, a prefix that is too long), MapFrozen (a read-only map).
        """
        self._check_writable()
        self._put(key, value, flags)

    def update_all(self, key: bytes, values: Sequence[bytes], flags: int = Flag.ANY) -> None:
        """`update` with one value for every processor, in order; see there."""
        self._check_writable()
        self._check(key, self.spec.key_size, "key")
        for value in values:
            self._check(value, self.spec.value_size, "value")
        if len(values) != self._copies:
            raise OperationRefused(self.spec.name, f"{len(values)} values: it has {self._copies} of each key")
        self._put_all(key, b"".join(values), flags)

    def delete(self, key: bytes) -> bool:
        """Take the entry out; False if there is none. Raises OperationRefused where entries can't be deleted."""
        self._check_writable()
        self._check(key, self.spec.key_size, "key")
        status = self._call("delete", key)
        if status not in (0, -errno.ENOENT):
            self._fail(status)
        return status == 0

    def freeze(self) -> None:
        """Let the control plane change nothing any more (BPF_MAP_FREEZE); programs still may."""
        self._frozen = True

    def lookup_and_delete(self, key: bytes) -> bytes | None:
        """Take the entry out and give its value, in one step; None if there is none. Hashes alone can do it.

        Per-CPU maps: the values of all processors, one after the other.
        """
        self._check_readable()
        self._check_writable()
        self._check(key, self.spec.key_size, "key")
        value = ctypes.create_string_buffer(self.spec.value_size * self._copies)
        return value.raw if self._call("extract", key, value, 0) else None

    # queues, stacks, bloom filters

    def push(self, value: bytes, flags: Flag = Flag.ANY) -> None:
        """Put `value` in; EXIST makes room in a full queue or stack by overwriting its oldest value.

        Raises MapFull, OperationRefused (a map with keys, a wrong size, other flags), MapFrozen.
        """
        self._check_writable()
        self._check(value, self.spec.value_size, "value")
        self._succeed(self._call("push", value, flags))

    def pop(self) -> bytes | None:
        """Take the next value out: a queue's oldest, a stack's newest; None if it is empty."""
        self._check_writable()
        return self._taken("pop")

    def peek(self) -> bytes | None:
        """What `pop` would give, left where it is."""
        if "pop" not in exported_operations(self._kind):
            raise self._refusal("peek")
        return self._taken("peek")

    def may_hold(self, value: bytes) -> bool:
        """Whether a bloom filter was given `value`: False is certain, True is probable."""
        self._check_readable()
        if self.spec.type is not MapType.BLOOM_FILTER:
            raise self._refusal("may_hold")
        self._check(value, self.spec.value_size, "value")
        return self._call("peek", value) == 0

    # rings

    def output(self, data: bytes, flags: int = 0) -> None:
        """Send a record from here, as a program's ringbuf_output does.

        Raises MapFull (there is no room until the consumer goes on), OperationRefused (no ring buffer, other flags).
        """
        self._succeed(self._call("output", data, len(data), flags))

    def query(self, what: int) -> int:
        """What ringbuf_query answers: AVAIL_DATA, RING_SIZE, CONS_POS or PROD_POS of `ringbuf_layout`, in bytes."""
        return self._call("query", what)

    def drain(self, out: ctypes.Array[ctypes.c_char], processor: int = 0) -> int:
        """Move what is ready out of a ring, as it lies there, until `out` is full; the bytes used. See `consumer`."""
        return self._call("drain", processor, out, len(out))

    def listen(self, on: bool) -> None:
        """Let programs send samples to a perf event array, or no longer: what its consumer does."""
        self._check_open()
        if self.spec.type is not MapType.PERF_EVENT_ARRAY:
            raise self._refusal("listen")
        listen(self._memory, self.shape, on)

    def wake_descriptor(self) -> int:
        """The eventfd that becomes readable when a consumer should look; the map's own. Rings alone have one."""
        self._check_open()
        if not isinstance(self._memory, RingMemory):
            raise self._refusal("wake_descriptor")
        return self._memory.wake

    # many entries

    def lookup_batch(self, count: int, position: int = 0) -> tuple[list[tuple[bytes, bytes]], int | None]:
        """Up to `count` entries from `position` on, as `items` gives them, and where the next batch begins: None once
        all were seen."""
        entries: Entries = []
        while position >= 0 and len(entries) < count:
            found, position = self._read(position, min(count - len(entries), self._chunk))
            entries += found
        return entries, position if position >= 0 else None

    def update_batch(self, entries: Iterable[tuple[bytes, bytes]], flags: int = Flag.ANY) -> int:
        """`update` each, in order; their number. An error ends it, and what was put in before stays."""
        number = 0
        for chunk in _chunks(entries, self._chunk):
            self._check_writable()
            fit = [*takewhile(self._fits, chunk)]
            self._put_many(fit, flags)
            for key, value in chunk[len(fit) : len(fit) + 1]:
                self._put(key, value, flags)
            number += len(chunk)
        return number

    def delete_batch(self, keys: Iterable[bytes]) -> int:
        """`delete` each, in order; how many were there."""
        number = 0
        for chunk in _chunks(keys, self._chunk):
            self._check_writable()
            fit = [*takewhile(lambda key: len(key) == self.spec.key_size, chunk)]
            number += self._delete_many(fit)
            for key in chunk[len(fit) : len(fit) + 1]:
                self._check(key, self.spec.key_size, "key")
        return number

    def lookup_and_delete_batch(self, count: int) -> list[tuple[bytes, bytes]]:
        """Take up to `count` entries out; none once the map is empty."""
        self._check_readable()
        self._check_writable()
        entries: Entries = []
        position = 0
        while position >= 0 and len(entries) < count:
            room = min(count - len(entries), self._chunk)
            sizes = self.spec.key_size, self.spec.value_size * self._copies
            taken, position = self._run(take, ("next", "extract"), position, room, *sizes)
            entries += taken
        return entries

    # all entries

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry, as (key, value). What stays in the map meanwhile comes exactly once; what comes or goes may.

        Some entries are read ahead. Per-CPU maps: the values of all processors, one after the other.
        """
        position = 0
        while position >= 0:
            entries, position = self._read(position, self._chunk)
            yield from entries

    def _read(self, position: int, count: int) -> tuple[Entries, int]:
        self._check_readable()
        return self._run(read, ("next",), position, count, self.spec.key_size, self.spec.value_size * self._copies)

    def _fits(self, entry: tuple[bytes, bytes]) -> bool:
        return (len(entry[0]), len(entry[1])) == (self.spec.key_size, self.spec.value_size)

    def _put_many(self, entries: Sequence[tuple[bytes, bytes]], flags: int) -> None:
        keys, values = joined(entries, self._copies)
        sizes = self.spec.key_size, self.spec.value_size * self._copies
        self._succeed(self._run(write, ("update",), keys, values, len(entries), *sizes, flags))

    def _delete_many(self, keys: Sequence[bytes]) -> int:
        number, status = self._run(erase, ("delete",), b"".join(keys), len(keys), self.spec.key_size)
        self._succeed(status)
        return number

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
        """Delete every entry; an array's values become zero. Raises OperationRefused for a bloom filter."""
        if "next" not in exported_operations(self._kind):
            while self.pop() is not None:
                pass
            return
        for key in self:
            try:
                self.delete(key)
            except OperationRefused:
                self.update(key, bytes(self.spec.value_size))

    def reset(self) -> None:
        """Back to what the map was when it was opened, its declared contents in it, to the last hidden detail
        (which entry an LRU hash gives up next). No native code may work on the map meanwhile."""
        with self._lock:
            self._check_open()
            self._memory.clear()
            self._kind.initialise(self._memory, self.shape)
        self._fill()

    def _taken(self, operation: str) -> bytes | None:
        self._check_readable()
        value = ctypes.create_string_buffer(self.spec.value_size)
        return value.raw if self._call(operation, value) == 0 else None

    def _succeed(self, status: int) -> None:
        if status != 0:
            self._fail(status)

    def _fill(self) -> None:
        for key, value in self.spec.contents:
            place = self._kind.place(self.shape, key)
            if place is not None and len(value) == self.spec.value_size:
                self._memory.write(place, value)
            elif self.spec.key_size:
                self._put(key, value, Flag.ANY)
            else:
                self._succeed(self._call("push", value, Flag.ANY))

    def _put(self, key: bytes, value: bytes, flags: int) -> None:
        self._check(key, self.spec.key_size, "key")
        self._check(value, self.spec.value_size, "value")
        self._put_all(key, value * self._copies, flags)

    def _put_all(self, key: bytes, values: bytes, flags: int) -> None:
        self._succeed(self._call("update", key, values, flags, EVERY_PROCESSOR))

    def _fail(self, status: int) -> None:
        failure = {**_FAILURES, **self._kind.failures}[-status]
        raise failure(self.spec.name, failure.meaning.format(self.spec.max_entries), hint=failure.advice)

    def _check(self, data: bytes, size: int, what: str) -> None:
        if len(data) != size:
            raise OperationRefused(self.spec.name, f"a {what} of {len(data)} bytes where {size} are declared")

    def _check_processor(self, processor: int) -> None:
        if not 0 <= processor < self._copies:
            raise OperationRefused(self.spec.name, f"there is no processor {processor}: it has {self._copies}")

    def _check_readable(self) -> None:
        if self.spec.flags & WRONLY:
            raise MapUnreadable(self.spec.name, "its flags (BPF_F_WRONLY) let the control plane only write")

    def _check_writable(self) -> None:
        if self.spec.flags & RDONLY:
            raise MapFrozen(self.spec.name, "its flags (BPF_F_RDONLY) let the control plane only read")
        if self.spec.read_only:
            raise MapFrozen(self.spec.name, "it is read-only: its contents came with the program")
        if self._frozen:
            raise MapFrozen(self.spec.name, "it is frozen: only programs may change it")


def _chunks(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """All of them in order, `size` at a time."""
    left = iter(things)
    while chunk := list(islice(left, size)):
        yield chunk
