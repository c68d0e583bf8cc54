"""Hashes in plain Python, and those that give up what was not used lately.

An update puts another bytearray in the place of the value, as the native one does with elements (`hash.extra`), so that
a program that still has a pointer to the old value sees there what it would see in native code.
"""

from __future__ import annotations

import errno
from collections import deque

from appliance.ebpf.spec import MapSpec
from appliance.maps.hash.layout import HashLayout
from appliance.maps.kind import Flag, Shape
from appliance.maps.model.map import ModelMap


class ModelHash(ModelMap):
    """A hash, whose updates take turns with elements that stand by. For one thread."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self._extra_count = HashLayout.of(Shape.of(spec, 1), referenced=False).extras
        self._extras = deque(bytearray(spec.value_size) for _ in range(self._extra_count))

    def lookup_and_delete(self, key: bytes) -> bytearray | None:
        value = self._values.get(key)
        self.delete(key)
        return value

    def _insert(self, key: bytes, value: bytes) -> int:
        if self._is_full():
            return -errno.E2BIG
        self._values[key] = bytearray(self._with_lock(value, bytes(len(value))))
        return 0

    def _put(self, key: bytes, value: bytes, flags: int) -> None:
        if not self._extras or flags & Flag.LOCK:
            super()._put(key, value, flags)
            return
        new, old = self._extras.popleft(), self._values[key]
        new[:] = self._with_lock(value, new)
        self._values[key] = new
        self._extras.append(old)


class ModelLruHash(ModelHash):
    """The clock of `lru_hash`: elements 0, 1, 2 …, a stack of freed ones, those that stand by, reference bits, and a
    hand. For one thread."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self._element_count = spec.max_entries + self._extra_count
        self._key: dict[int, bytes] = {}  # of the elements that are entries
        self._number: dict[bytes, int] = {}
        self._fresh = 0
        self._free: list[int] = []
        self._standing_by = deque(range(spec.max_entries, self._element_count))
        self._referenced: set[int] = set()
        self._hand = 0

    def lookup(self, key: bytes) -> bytearray | None:
        if key in self._number:
            self._referenced.add(self._number[key])
        return super().lookup(key)

    def visit(self, key: bytes) -> bytearray | None:
        return super().lookup(key)

    def _put(self, key: bytes, value: bytes, flags: int) -> None:
        super()._put(key, value, flags)
        if self._standing_by:
            old, new = self._number[key], self._standing_by.popleft()
            del self._key[old]
            self._key[new], self._number[key] = key, new
            self._standing_by.append(old)
        self._referenced.add(self._number[key])

    def _deleted(self, key: bytes) -> None:
        number = self._number.pop(key)
        del self._key[number]
        self._free.append(number)

    def _insert(self, key: bytes, value: bytes) -> int:
        number = self._take()
        self._key[number], self._number[key] = key, number
        self._referenced.discard(number)
        self._values[key] = bytearray(value)
        return 0

    def _take(self) -> int:
        if self._free:
            return self._free.pop()
        if self._fresh < self.spec.max_entries:
            self._fresh += 1
            return self._fresh - 1
        return self._evict()

    def _evict(self) -> int:
        while True:
            number = self._hand % self._element_count
            self._hand += 1
            if number in self._referenced:
                self._referenced.remove(number)
            elif number in self._key:
                key = self._key.pop(number)
                del self._values[key], self._number[key]
                return number
