"""The control plane of a map of maps: `outer[key] = map`, in and out, while programs look maps up in it.

A map is held while it is in. What is taken out is let go a grace period later (appliance.epochs): a program may have
looked it up a moment ago, and may still be at work on it.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from appliance.ebpf.spec import MapSpec
from appliance.epochs import default_domain
from appliance.maps.control.map import Map
from appliance.maps.errors import NoSuchEntry, OperationRefused
from appliance.maps.kind import ADDRESS_SIZE, EVERY_PROCESSOR, Flag
from appliance.maps.nested.inner import misfit
from appliance.memory import Reserve


class MapOfMaps(Map):
    """A map whose values are maps: entries are read and written as `outer[key]`, keys are bytes.

    A map that is put in may be closed by its owner: it lives on in here. `keys`, `len`, `delete`, `clear`, `freeze` and
    `close` are those of every map; `lookup`, `items` and their like, which speak of bytes, raise OperationRefused.
    Any thread.
    """

    def __init__(self, spec: MapSpec, processors: int, reserve: Reserve) -> None:
        super().__init__(spec, processors, reserve)
        assert spec.inner is not None
        self.inner = spec.inner
        self._named: Mapping[str, Map] = {}
        self._entries: dict[bytes, Map] = {}
        self._changing = threading.Lock()

    def name_maps(self, maps: Mapping[str, Map]) -> None:
        """Which maps the declaration's initial values mean; `fill` puts them in."""
        self._named = {name: maps[name] for _, name in self.spec.values if name in maps}

    # entries

    def __getitem__(self, key: bytes) -> Map:
        """The map under the key. Raises NoSuchEntry."""
        found = self.get(key)
        if found is None:
            raise NoSuchEntry(self.spec.name, NoSuchEntry.meaning.format(self.spec.max_entries))
        return found

    def get(self, key: bytes) -> Map | None:
        """The map under the key, or None."""
        self._check_readable()
        self._check(key, self.spec.key_size, "key")
        with self._changing:
            self._check_open()
            return self._entries.get(key)

    def __setitem__(self, key: bytes, map_: Map) -> None:
        self.put(key, map_)

    def put(self, key: bytes, map_: Map, flags: Flag = Flag.ANY) -> None:
        """Let programs find `map_` under the key from now on.

        Raises OperationRefused if it is not like the maps that were declared, or was opened for another number of
        workers; EntryExists, NoSuchEntry, MapFull and MapFrozen as `Map.update` does; RuntimeError if it is closed;
        GracePeriodExpired if too much waits for a reader that hangs.
        """
        self._check_writable()
        self._put_map(key, map_, flags)

    def __delitem__(self, key: bytes) -> None:
        if not self.delete(key):
            raise NoSuchEntry(self.spec.name, NoSuchEntry.meaning.format(self.spec.max_entries))

    def delete(self, key: bytes) -> bool:
        """Let programs find nothing under the key any more; False if they didn't."""
        self._check_writable()
        self._check(key, self.spec.key_size, "key")
        default_domain.throttle()
        with default_domain.reading(self._reader), self._changing:
            status = self._change("delete", key)
            gone = self._entries.pop(key) if status == 0 else None
        self._let_go(gone)
        if status not in (0, -errno.ENOENT):
            self._fail(status)
        return status == 0

    def maps(self) -> Iterator[tuple[bytes, Map]]:
        """Every entry as (key, map), as they are now."""
        self._check_readable()
        with self._changing:
            self._check_open()
            return iter(list(self._entries.items()))

    def keys(self) -> Iterator[bytes]:
        """Every key that has a map, as they are now."""
        return (key for key, _ in self.maps())

    def __len__(self) -> int:
        """How many maps there are in it."""
        with self._changing:
            self._check_open()
            return len(self._entries)

    def clear(self) -> None:
        """Take every map out."""
        for key in list(self.keys()):
            self.delete(key)

    # lifetime

    def reset(self) -> None:
        """Back to what it held when it was opened. No native code may work on it meanwhile."""
        with self._changing:
            gone, self._entries = list(self._entries.values()), {}
        super().reset()
        self._let_go(*gone)

    def _end(self) -> None:
        super()._end()
        with self._changing:
            gone, self._entries = list(self._entries.values()), {}
        self._let_go(*gone)

    def _let_go(self, *maps: Map | None) -> None:
        """Programs that begin now don't find them any more; those that did go on with them."""
        for map_ in maps:
            if map_ is not None:
                default_domain.retire(map_.release)

    def _fill(self) -> None:
        for index, name in self.spec.values:
            if name not in self._named:
                raise OperationRefused(self.spec.name, f"its declaration puts in the map {name!r}, which is not there")
            self._put_map(index.to_bytes(self.spec.key_size, "little"), self._named[name], Flag.ANY)

    def _change(self, operation: str, *arguments: Any) -> int:
        """Call what writes addresses, which nobody may do but `put` and `delete`."""
        with self._lock:
            return super()._function(operation)(self.address, *arguments)

    def _function(self, operation: str) -> Callable[..., int]:
        raise self._refusal(operation)

    def _refusal(self, operation: str) -> OperationRefused:
        refused = super()._refusal(operation)
        refused.hint = "its values are maps: read and write map[key]"
        return refused

    def _put_map(self, key: bytes, map_: Map, flags: Flag) -> None:
        self._check(key, self.spec.key_size, "key")
        reason = misfit(self.inner, map_.spec)
        if reason is None and map_.processors != self.processors:
            reason = f"is one of {map_.processors} workers, not {self.processors}"
        if reason is not None:
            raise OperationRefused(self.spec.name, f"the map {map_.spec.name!r} {reason}")
        default_domain.throttle()
        map_.hold()
        address = map_.address.to_bytes(ADDRESS_SIZE, "little")
        try:
            with default_domain.reading(self._reader), self._changing:
                self._succeed(self._change("update", key, address, flags, EVERY_PROCESSOR))
                replaced = self._entries.get(key)
                self._entries[key] = map_
        except BaseException:
            map_.release()
            raise
        self._let_go(replaced)
