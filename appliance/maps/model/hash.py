"""Hashes in plain Python, and those that give up what was not used lately."""

from __future__ import annotations

import errno

from appliance.ebpf.spec import MapSpec
from appliance.maps.model.map import ModelMap


class ModelHash(ModelMap):
    def extract(self, key: bytes) -> bytearray | None:
        value = self._values.get(key)
        self.delete(key)
        return value

    def _insert(self, key: bytes, value: bytes) -> int:
        if self._is_full():
            return -errno.E2BIG
        self._values[key] = bytearray(self._with_lock(value, bytes(len(value))))
        return 0


class ModelLruHash(ModelHash):
    """The clock of `lru_hash`: elements 0, 1, 2 …, a stack of freed ones, marks of use, and a hand."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self._elements: list[bytes] = []  # the key in each element
        self._number: dict[bytes, int] = {}
        self._free: list[int] = []
        self._marked: set[int] = set()
        self._hand = 0

    def lookup(self, key: bytes) -> bytearray | None:
        if key in self._number:
            self._used(key)
        return super().lookup(key)

    def _used(self, key: bytes) -> None:
        self._marked.add(self._number[key])

    def _deleted(self, key: bytes) -> None:
        self._free.append(self._number.pop(key))

    def _insert(self, key: bytes, value: bytes) -> int:
        number = self._take()
        self._elements[number] = key
        self._number[key] = number
        self._marked.discard(number)
        self._values[key] = bytearray(value)
        return 0

    def _take(self) -> int:
        if self._free:
            return self._free.pop()
        if not self._is_full():
            self._elements.append(b"")
            return len(self._elements) - 1
        return self._evict()

    def _evict(self) -> int:
        while True:
            number = self._hand % self.spec.max_entries
            self._hand += 1
            if number not in self._marked:
                del self._values[self._elements[number]]
                del self._number[self._elements[number]]
                return number
            self._marked.remove(number)
