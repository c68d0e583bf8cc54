"""A map's entries, each a value under a key: one of them, or many in one native call (`batches`)."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from typing import TypeVar

from appliance.ebpf.spec import MapSpec
from appliance.maps.control.batches import Entries, chunk_of, erase, joined, read, take, write
from appliance.maps.control.guarded import GuardedMap
from appliance.maps.errors import OperationRefused
from appliance.maps.kind import EVERY_PROCESSOR, Flag
from appliance.memory import Reserve

T = TypeVar("T")


class KeyedMap(GuardedMap):
    """Python's way to entries. Keys and values are bytes, in the program's own (host) byte order. Any thread."""

    def __init__(self, spec: MapSpec, processors: int, reserve: Reserve) -> None:
        super().__init__(spec, processors, reserve)
        self._chunk = chunk_of(spec.key_size + spec.value_size * self._copies)

    # one entry

    def lookup(self, key: bytes, processor: int = 0, flags: int = Flag.ANY) -> bytes | None:
        """A copy of the value, or None; of a hash or a trie, all of it from one update. Per-CPU maps: the value of one
        processor. To an LRU hash this is no use, nor is a walk.

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

    def lookup_and_delete(self, key: bytes) -> bytes | None:
        """Take the entry out and give its value, in one step; None if there is none. Hashes alone can do it.

        Per-CPU maps: the values of all processors, one after the other.
        """
        self._check_readable()
        self._check_writable()
        self._check(key, self.spec.key_size, "key")
        value = ctypes.create_string_buffer(self.spec.value_size * self._copies)
        return value.raw if self._call("lookup_and_delete", key, value, 0) else None

    def _put(self, key: bytes, value: bytes, flags: int) -> None:
        self._check(key, self.spec.key_size, "key")
        self._check(value, self.spec.value_size, "value")
        self._put_all(key, value * self._copies, flags)

    def _put_all(self, key: bytes, values: bytes, flags: int) -> None:
        self._succeed(self._call("update", key, values, flags, EVERY_PROCESSOR))

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
            taken, position = self._run(take, ("next", "lookup_and_delete"), position, room, *sizes)
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

    def keys(self) -> Iterator[bytes]:
        """Every key; see `items`."""
        return (key for key, _ in self.items())

    def __iter__(self) -> Iterator[bytes]:
        return self.keys()

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


def _chunks(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """All of them in order, `size` at a time."""
    left = iter(things)
    while chunk := list(islice(left, size)):
        yield chunk
