"""Maps of what a frame may be redirected to, in plain Python."""

from __future__ import annotations

import errno

from appliance.maps.array.redirect_arrays import LONGEST_QUEUE
from appliance.maps.kind import Flag
from appliance.maps.model.hash import ModelHash
from appliance.maps.model.map import ModelMap


class ModelDevmap(ModelMap):
    """Targets under indices: what is put in as 0 is taken out, and a program behind the target is refused.
    For one thread."""

    longest = (1 << 32) - 1  # target

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> int:
        target, program = value[:4], value[4:]
        if flags > Flag.EXIST:
            return -errno.EINVAL
        if not self._has(key):
            return -errno.E2BIG
        if flags == Flag.NOEXIST:
            return -errno.EEXIST
        if int.from_bytes(program, "little", signed=True) > 0:
            return -errno.EOPNOTSUPP
        if int.from_bytes(target, "little") > self.longest:
            return -errno.EOVERFLOW
        if any(target):
            self._values.setdefault(key, bytearray(len(value)))[:4] = target
        else:
            self._values.pop(key, None)
        return 0

    def delete(self, key: bytes) -> int:
        return super().delete(key) if self._has(key) else -errno.EINVAL

    def _has(self, key: bytes) -> bool:
        return int.from_bytes(key, "little") < self.spec.max_entries


class ModelCpumap(ModelDevmap):
    """As a devmap. For one thread."""

    longest = LONGEST_QUEUE


class ModelXskmap(ModelMap):
    """Always empty. For one thread."""

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> int:
        return -errno.EOPNOTSUPP


class ModelDevmapHash(ModelHash):
    """Targets under keys. For one thread."""

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> int:
        target, program = value[:4], value[4:]
        if flags > Flag.EXIST or not any(target):
            return -errno.EINVAL
        if int.from_bytes(program, "little", signed=True) > 0:
            return -errno.EOPNOTSUPP
        return super().update(key, target + bytes(len(program)), flags)
