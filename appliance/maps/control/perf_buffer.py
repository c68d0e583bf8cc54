"""The consumer of perf event arrays, in the shape of libbpf's `perf_buffer`.

with PerfBuffer(loaded.maps["events"], on_sample, on_lost) as events:
    while events.poll(1.0) >= 0: …          on_sample(worker, data), on_lost(worker, number) for each
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import partial

from appliance.maps.control.map import Map
from appliance.maps.control.ring_buffer import Consumer, Source
from appliance.maps.rings.perf_event_array import DATA_SIZE, PERF_RECORD_LOST, LostRecord, SampleHeader

OnSample = Callable[[int, bytes], object]
OnLost = Callable[[int, int], object]

_BODY = SampleHeader.length.offset + 4


class _Samples(Source):
    """The rings of one array, one after the other."""

    def __init__(self, map: Map, on_sample: OnSample, on_lost: OnLost) -> None:
        super().__init__(map)
        self._on_sample, self._on_lost = on_sample, on_lost
        self._buffer = ctypes.create_string_buffer(DATA_SIZE)
        for processor in range(map.processors):
            map.drain(self._buffer, processor)  # what nobody listened to
        map.listen(True)

    def fetch(self) -> None:
        for processor in range(self.map.processors):
            used = self.map.drain(self._buffer, processor)
            self.waiting.extend(self._calls(processor, memoryview(self._buffer)[:used]))

    def _calls(self, processor: int, memory: memoryview) -> Iterator[Callable[[], object]]:
        at = 0
        while at < len(memory):
            header = SampleHeader.from_buffer_copy(memory, at)
            if header.type == PERF_RECORD_LOST:
                yield partial(self._on_lost, processor, int(LostRecord.from_buffer_copy(memory, at).lost))
            else:
                yield partial(self._on_sample, processor, bytes(memory[at + _BODY : at + _BODY + header.length]))
            at += header.size

    def close(self) -> None:
        self.map.listen(False)
        super().close()


class PerfBuffer(Consumer):
    """Hands the samples of a perf event array to callables, each worker's oldest first. One consumer for each map.
    One thread consumes."""

    def __init__(self, map: Map, on_sample: OnSample, on_lost: OnLost = lambda worker, number: None) -> None:
        """`on_sample` gets the worker's number and the sample's bytes, `on_lost` how many had no room since then.

        Samples that programs send before are refused (-ENOENT). Raises OperationRefused for another type of map.
        """
        super().__init__()
        self._add(_Samples(map, on_sample, on_lost))
