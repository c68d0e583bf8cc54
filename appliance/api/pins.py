"""Maps under names, shared by all objects that ask for them, and kept beyond the object that made them.

    pins = Pins()                                    pins ── "flows" ──> Map <── first.maps["flows"]
    first = one.load(pins=pins)                                           ^
    second = other.load(pins=pins)                                        └───── second.maps["flows"]

What bpffs (/sys/fs/bpf) is to the kernel, as an object: there is no registry but the one that is handed over. A pinned
map ends once it is unpinned, or the registry closed, and no object uses it any more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

from appliance.api.errors import NoSuchName, ValueUnfit
from appliance.api.map_reuse import mismatch
from appliance.closeable import Closeable
from appliance.ebpf.spec import MapSpec
from appliance.maps.control.map import Map


class Pins(Closeable, Mapping[str, Map]):
    """Pinned maps by name. A context manager; closing twice is harmless. Any thread may use it."""

    def __init__(self) -> None:
        self._pinned: dict[str, Map] = {}
        self._lock = threading.Lock()

    def pin(self, map_: Map, name: str | None = None) -> None:
        """Keep an open map under that name (None: its own). Raises ValueUnfit if the name is taken."""
        name = map_.spec.name if name is None else name
        with self._lock:
            if name in self._pinned:
                raise ValueUnfit(f"something is pinned as {name!r} already", hint="unpin it first")
            map_.hold()
            self._pinned[name] = map_

    def unpin(self, name: str) -> None:
        """Keep it no longer. Objects that use the map go on with it. Raises NoSuchName."""
        with self._lock:
            if name not in self._pinned:
                raise NoSuchName("pinned map", name, self._pinned)
            map_ = self._pinned.pop(name)
        map_.release()

    def find(self, name: str, declared: MapSpec, where: str) -> Map | None:
        """The map that is pinned as `name`, for an object that declares it so; None if there is none.

        Raises ValueUnfit if it is not as declared (EINVAL of libbpf). `where` is for the message.
        """
        map_ = self._pinned.get(name)
        if map_ is None:
            return None
        reason = mismatch(declared, map_.spec, exact=True)
        if reason is not None:
            raise ValueUnfit(
                f"couldn't reuse the pinned map {name!r}: parameter mismatch: {reason}",
                where=where,
                hint="declare it alike, give it another `pin_name`, or unpin the other",
            )
        return map_

    def close(self) -> None:
        """Unpin everything."""
        for name in list(self._pinned):
            self.unpin(name)

    def __getitem__(self, name: str) -> Map:
        map_ = self._pinned.get(name)
        if map_ is None:
            raise NoSuchName("pinned map", name, self._pinned)
        return map_

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._pinned))

    def __len__(self) -> int:
        return len(self._pinned)
