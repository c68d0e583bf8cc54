"""Consumers of rings, and that of ring buffers, in the shape of libbpf's `ring_buffer`.

with RingBuffer(loaded.maps["events"], handle) as ring:
    while ring.poll(1.0) >= 0: …                     handle(record) for each

producers ──> ring in memory ──drain (native, one call)──> records as bytes ──> handle
    └──────── eventfd, only when the consumer has caught up ──> epoll ──┘
"""

from __future__ import annotations

import ctypes
import os
import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from appliance.closeable import Closeable
from appliance.epochs import default_domain
from appliance.maps.control.map import Map
from appliance.maps.rings.ringbuf_layout import HEADER_SIZE, LONGEST_RECORD, record_size

Handle = Callable[[bytes], object]


class Source:
    """One map, held until `close`, and the calls that are due for what it has handed over.

    Its descriptor is the map's: it is used in read-side critical sections, so that its number is nobody else's yet.
    For the thread that consumes.
    """

    def __init__(self, map: Map) -> None:
        self.map = map
        self.descriptor = map.wake_descriptor()
        self.waiting: deque[Callable[[], object]] = deque()
        self.closed = False
        map.hold()

    def fetch(self) -> None:
        """Move what is ready out of the map, as much as it holds at a time, to `waiting`."""
        raise NotImplementedError

    def consume(self) -> int:
        """Make the calls for what is ready now; their number."""
        with default_domain.reading("a consumer"):
            if self.closed:
                return 0
            with suppress(BlockingIOError):  # nobody has called
                os.eventfd_read(self.descriptor)  # before looking: who comes after the look makes it readable again
            self.fetch()
        handled = 0
        try:
            while self.waiting and not self.closed:
                call = self.waiting.popleft()
                handled += 1
                call()
        finally:
            self._call_again()
        return handled

    def _call_again(self) -> None:
        """Nobody will call for what is there already."""
        with default_domain.reading("a consumer"):
            if not self.closed and (self.waiting or len(self.map)):
                os.eventfd_write(self.descriptor, 1)

    def close(self) -> None:
        """Let the map go. What waits is not handed over any more."""
        self.closed = True
        self.map.release()


class _Records(Source):
    """A ring buffer."""

    def __init__(self, map: Map, handle: Handle) -> None:
        super().__init__(map)
        self._handle = handle
        self._buffer = ctypes.create_string_buffer(map.spec.max_entries)

    def fetch(self) -> None:
        used = self.map.drain(self._buffer)
        self.waiting.extend(partial(self._handle, record) for record in records(memoryview(self._buffer)[:used]))


def records(memory: memoryview) -> Iterator[bytes]:
    """The records that lie in `memory` as they lay in a ring (see `ringbuf_layout`)."""
    at = 0
    while at < len(memory):
        length = int.from_bytes(memory[at : at + 4], "little") & LONGEST_RECORD
        start = at + HEADER_SIZE
        yield bytes(memory[start : start + length])
        at += record_size(length)


class Consumer(Closeable):
    """Waits for maps, and makes the calls that are due. A context manager; closing twice is harmless.

    The maps are held (`OpenMap.hold`) until it is closed. One thread consumes; what it calls may close the consumer.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._sources: list[Source] = []

    def _add(self, source: Source) -> None:
        self._epoll.register(source.descriptor, select.EPOLLIN)
        self._sources.append(source)

    def fileno(self) -> int:
        """Readable when there may be records, for a loop of one's own (select, asyncio): then call `consume`."""
        return self._epoll.fileno()

    def consume(self) -> int:
        """Handle what is ready now, without waiting; the number of records. It ends, however fast producers are.

        What `handle` raises comes out here; the record that it was given is gone, those behind it come next time.
        """
        return sum(source.consume() for source in tuple(self._sources))

    def poll(self, timeout: float | None = None) -> int:
        """Handle what is ready; if nothing is, wait for it, at most `timeout` seconds (None: for ever). The number of
        records, 0 if the time is over."""
        end = None if timeout is None else time.monotonic() + timeout
        while not (handled := self.consume()):
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self._epoll.poll(left)
        return handled

    def close(self) -> None:
        """Consume no more, and let the maps go."""
        self._epoll.close()
        while self._sources:
            self._sources.pop().close()


class RingBuffer(Consumer):
    """Hands the records of one or more ring buffers to callables, oldest first. One consumer for each map.
    One thread consumes."""

    def __init__(self, map: Map, handle: Handle) -> None:
        """`handle` gets each record as bytes. Raises OperationRefused if the map is no ring buffer."""
        super().__init__()
        self.add(map, handle)

    def add(self, map: Map, handle: Handle) -> None:
        """Consume another map, too."""
        self._add(_Records(map, handle))
