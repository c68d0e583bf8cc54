"""An open map, as Python has it: its life, its entries and its values, and what concerns all of them at once.

            life               memory, and who keeps it
             ^
          guarded              what is asked first, and what an answer means
      ^      ^      ^
    keyed  packed  keyless     entries by their keys; many keys of one value; values without keys
      ^      ^      ^
            map                all of it

All of it may be called from any thread, while programs work on the same map.
"""

from __future__ import annotations

from appliance.ebpf.packed import PackedEntries
from appliance.epochs import default_domain
from appliance.maps.control.keyed import KeyedMap
from appliance.maps.control.keyless import KeylessMap
from appliance.maps.control.packed import PackedMap
from appliance.maps.errors import OperationRefused
from appliance.maps.kind import Flag
from appliance.maps.operations import exported_operations


class Map(KeyedMap, KeylessMap, PackedMap):
    """One map. Keys and values are bytes, in the program's own (host) byte order.
    Any thread, while programs work on it."""

    def __len__(self) -> int:
        """The number of entries; an array's is always max_entries."""
        with default_domain.reading(self._reader):
            self._check_open()
            return self._kind.count(self._memory, self.shape)

    @property
    def evicted(self) -> int | None:
        """Entries that others have pushed out since it was opened; None of types that never do that."""
        with default_domain.reading(self._reader):
            self._check_open()
            return None if self._kind.evicted is None else self._kind.evicted(self._memory)

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
        with default_domain.reading(self._reader), self._lock:
            self._check_open()
            self._memory.clear()
            self._kind.initialise(self._memory, self.shape)
        self._fill()

    def _fill(self) -> None:
        if isinstance(self.spec.contents, PackedEntries):
            self.update_packed(self.spec.contents.keys, self.spec.contents.value)
            return
        for key, value in self.spec.contents:
            place = self._kind.direct_value(self.shape, key)
            if place is not None and len(value) == self.spec.value_size:
                self._memory.write(place, value)
            elif self.spec.key_size:
                self._put(key, value, Flag.ANY)
            else:
                self._succeed(self._call("push", value, Flag.ANY))
