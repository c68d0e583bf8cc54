"""Maps of maps in plain Python: `put` is what the control plane of a native one does, and answers 0 or -errno."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from appliance.ebpf.spec import MapSpec
from appliance.maps.kind import Flag
from appliance.maps.model.map import ModelMap


class ModelMapOfMaps(ModelMap):
    """Maps by key. For one thread."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self._maps: dict[bytes, ModelMap] = {}

    def inner_map(self, key: bytes) -> ModelMap | None:
        return self._maps.get(key)

    def put(self, key: bytes, map_: ModelMap, flags: int = Flag.ANY) -> int:
        """0 or -errno."""
        raise NotImplementedError

    def delete(self, key: bytes) -> int:
        return -errno.ENOENT if self._maps.pop(key, None) is None else 0

    def keys(self) -> Iterator[bytes]:
        return iter(list(self._maps))

    def __len__(self) -> int:
        return len(self._maps)


class ModelArrayOfMaps(ModelMapOfMaps):
    """Maps by index. For one thread."""

    def _is_beyond(self, key: bytes) -> bool:
        return int.from_bytes(key, "little") >= self.spec.max_entries

    def put(self, key: bytes, map_: ModelMap, flags: int = Flag.ANY) -> int:
        if flags != Flag.ANY:
            return -errno.EINVAL
        if self._is_beyond(key):
            return -errno.E2BIG
        self._maps[key] = map_
        return 0

    def delete(self, key: bytes) -> int:
        return -errno.E2BIG if self._is_beyond(key) else super().delete(key)


class ModelHashOfMaps(ModelMapOfMaps):
    """Maps by key, as many as there is room for. For one thread."""

    def put(self, key: bytes, map_: ModelMap, flags: int = Flag.ANY) -> int:
        if flags > Flag.EXIST:
            return -errno.EINVAL
        known = key in self._maps
        if flags == Flag.EXIST and not known:
            return -errno.ENOENT
        if flags == Flag.NOEXIST and known:
            return -errno.EEXIST
        if not known and len(self._maps) == self.spec.max_entries:
            return -errno.E2BIG
        self._maps[key] = map_
        return 0
