"""A perf event array in plain Python: one worker's samples in a list, whose sizes count as they would in memory."""

from __future__ import annotations

import errno

from appliance.ebpf.spec import MapSpec
from appliance.maps.model.map import ModelMap
from appliance.maps.rings.perf_event_array import CURRENT_CPU, DATA_SIZE, LONGEST, LOST_SIZE


class ModelPerfEventArray(ModelMap):
    """`is_open` says whether anybody listens; `drain` is the consumer: samples, and numbers of lost ones.
    For one thread."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self.is_open = False
        self._waiting: list[bytes | int] = []
        self._filled = self._missed = 0

    def update(self, key: bytes, value: bytes, flags: int = 0) -> int:
        return -errno.EINVAL

    def delete(self, key: bytes) -> int:
        return -errno.EINVAL

    def sample(self, index: int, data: bytes) -> int:
        number = 0 if index == CURRENT_CPU else index
        if number >= (self.spec.max_entries or 1):
            return -errno.E2BIG
        if number or not self.is_open:
            return -errno.ENOENT
        taken = (len(data) + 12 + 7) & ~7
        if taken > LONGEST:
            return -errno.E2BIG
        front = LOST_SIZE if self._missed else 0
        if self._filled + front + taken > DATA_SIZE:
            self._missed += 1
            return -errno.ENOSPC
        if self._missed:
            self._waiting.append(self._missed)
            self._missed = 0
        self._waiting.append(data)
        self._filled += front + taken
        return 0

    def drain(self) -> list[bytes | int]:
        """What waits, which is gone then."""
        taken, self._waiting, self._filled = self._waiting, [], 0
        return taken

    def __len__(self) -> int:
        return self._filled
