"""A ring buffer in plain Python: records in a queue, and positions that count what they would take in memory."""

from __future__ import annotations

import errno
from collections import deque
from dataclasses import dataclass

from appliance.ebpf.spec import MapSpec
from appliance.maps.model.map import ModelMap
from appliance.maps.rings.ringbuf_layout import (
    AVAIL_DATA,
    CONS_POS,
    FORCE_WAKEUP,
    LONGEST_RECORD,
    NO_WAKEUP,
    PROD_POS,
    RING_SIZE,
    record_size,
)


@dataclass(slots=True)
class _Record:
    """One record; `state` is "busy" until it is committed, then "ready" or "discarded"."""

    data: bytearray
    start: int
    state: str = "busy"


class ModelRingBuffer(ModelMap):
    """What producers do is what the native ring does; `drain` is the consumer. `woken` counts wake-ups.
    For one thread."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self._records: deque[_Record] = deque()
        self._consumed = self._produced = 0
        self.woken = 0

    def update(self, key: bytes, value: bytes, flags: int = 0) -> int:
        return -errno.EINVAL

    def delete(self, key: bytes) -> int:
        return -errno.EINVAL

    def output(self, data: bytes, flags: int) -> int:
        if flags & ~(NO_WAKEUP | FORCE_WAKEUP):
            return -errno.EINVAL
        record = self.reserve(len(data), 0)
        if record is None:
            return -errno.EAGAIN
        record[:] = data
        self.commit(record, flags, discard=False)
        return 0

    def reserve(self, size: int, flags: int) -> bytearray | None:
        taken = record_size(size)
        if flags or size > LONGEST_RECORD or self._produced + taken - self._consumed >= self.spec.max_entries:
            return None
        record = _Record(bytearray(size), self._produced)
        self._records.append(record)
        self._produced += taken
        return record.data

    def commit(self, record: bytearray, flags: int, *, discard: bool) -> None:
        done = next(each for each in self._records if each.data is record)
        done.state = "discarded" if discard else "ready"
        if flags & FORCE_WAKEUP or (done.start == self._consumed and not flags & NO_WAKEUP):
            self.woken += 1

    def query(self, what: int) -> int:
        return {
            AVAIL_DATA: self._produced - self._consumed,
            RING_SIZE: self.spec.max_entries,
            CONS_POS: self._consumed,
            PROD_POS: self._produced,
        }.get(what, 0)

    def drain(self) -> list[bytes]:
        """The records that are ready, up to the first that is still being filled; they are gone then."""
        taken = []
        while self._records and self._records[0].state != "busy":
            record = self._records.popleft()
            self._consumed += record_size(len(record.data))
            if record.state == "ready":
                taken.append(bytes(record.data))
        return taken

    def __len__(self) -> int:
        return self._produced - self._consumed
