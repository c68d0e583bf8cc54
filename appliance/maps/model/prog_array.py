"""Arrays of programs in plain Python: names of programs under indices."""

from __future__ import annotations

import errno

from appliance.ebpf.spec import MapSpec
from appliance.maps.kind import Flag
from appliance.maps.model.map import ModelMap


class ModelProgArray(ModelMap):
    """The interpreter finds the programs by their names. It has no numbers for them, which `update` would take.
    For one thread."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self._programs = dict(spec.values)

    def program(self, index: int) -> str | None:
        return self._programs.get(index)

    def put(self, index: int, name: str) -> int:
        """Let tail calls to the index lead to the program of that name. 0 or -errno."""
        if not 0 <= index < self.spec.max_entries:
            return -errno.E2BIG
        self._programs[index] = name
        return 0

    def lookup(self, key: bytes) -> bytearray | None:
        return None

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> int:
        return -errno.EINVAL

    def delete(self, key: bytes) -> int:
        index = int.from_bytes(key, "little")
        if index >= self.spec.max_entries:
            return -errno.E2BIG
        return 0 if self._programs.pop(index, None) is not None else -errno.ENOENT

    def __len__(self) -> int:
        return len(self._programs)
