"""Memory that several processes share, at the same addresses in each.

    one file, mapped whole ─> ┌─────┬────────┬───────┬───────────────────────────── … ┐
    before the first fork     │ map │  map   │ block │   nobody's yet: no memory yet  │
                              └─────┴────────┴───────┴───────────────────────────── … ┘
                              ^ address, the same in every process that was forked behind it

One process takes memory from it and gives it back (the owner: who holds this object and uses `take`); the others find
what is there without being told. Only the second views of rings are mappings of their own: a process that was forked
before them makes them by `mirrors`. Addresses that were given back are given again, with other memory behind them.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.memory.layouts import PAGE, Layout, Plain, Rings
from appliance.memory.memory import Memory, RingMemory
from hooks.linux.mman import (
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
    advise_memory,
    map_memory,
    punch_hole,
    reserve_memory,
)
from hooks.memory_file import memory_file

ARENA_SIZE = 1 << 40  # bytes of addresses
HUGE_PAGE = 2 << 20
WAKE_DESCRIPTORS = 512  # from here on, so that another process finds them free: their numbers lie in the arena


@dataclass(frozen=True, slots=True)
class Mirror:
    """`size` bytes from `offset` of the arena's file are at `address`, too."""

    address: int
    size: int
    offset: int


class Arena:
    """A reserve whose memory is shared with the processes that are forked behind it. Any thread takes from it."""

    def __init__(self, size: int = ARENA_SIZE) -> None:
        """Reserve addresses for it. Raises OSError if the machine doesn't grant that."""
        self.descriptor = memory_file("arena", size)
        room = reserve_memory(size + HUGE_PAGE)
        self.address = -(-room // HUGE_PAGE) * HUGE_PAGE
        self.size = size
        protection, flags = PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE
        map_memory(self.address, size, protection, flags, self.descriptor, 0)
        self._end = self.address
        self._free: list[tuple[int, int]] = []  # address, size
        self._mirrors: dict[int, tuple[Mirror, ...]] = {}
        self._huge: dict[int, int] = {}
        self._lock = threading.Lock()

    def take(self, layout: Layout) -> Memory:
        """Memory in that layout. Raises OSError (ENOMEM) if there are no addresses left."""
        if isinstance(layout, Rings):
            return ArenaRings(self, layout)
        return ArenaMemory(self, layout)

    @property
    def mirrors(self) -> tuple[Mirror, ...]:
        """All second views that there are now."""
        with self._lock:
            return tuple(mirror for mirrors in self._mirrors.values() for mirror in mirrors)

    @property
    def huge(self) -> tuple[tuple[int, int], ...]:
        """What is to lie in huge pages, as (address, size): each process has to ask for that."""
        with self._lock:
            return tuple(self._huge.items())

    def adopt(self, mirrors: Iterable[Mirror], huge: Iterable[tuple[int, int]]) -> None:
        """Map what another process has mapped since this one was forked. Raises OSError."""
        for mirror in mirrors:
            self._map_mirror(mirror)
        for address, size in huge:
            advise_memory(address, size, mmap.MADV_HUGEPAGE)

    def allocate(self, span: int, *, huge_pages: bool = False) -> int:
        """The address of that many bytes, all zero. Raises OSError (ENOMEM)."""
        alignment = HUGE_PAGE if huge_pages else PAGE
        span = _round(span, alignment)
        with self._lock:
            address = self._fit(span, alignment)
            if huge_pages:
                self._huge[address] = span
        if huge_pages:
            advise_memory(address, span, mmap.MADV_HUGEPAGE)
        return address

    def _fit(self, span: int, alignment: int) -> int:
        """The first free place that is large enough, or the next one that nobody had."""
        for number, (start, size) in enumerate(self._free):
            address = _round(start, alignment)
            if address + span <= start + size:
                rest = [(start, address - start), (address + span, start + size - address - span)]
                self._free[number : number + 1] = [each for each in rest if each[1]]
                return address
        address = _round(self._end, alignment)
        if address + span > self.address + self.size:
            raise OSError(errno.ENOMEM, f"{span} bytes are more than the arena's addresses")
        if address > self._end:
            self._free.append((self._end, address - self._end))
        self._end = address + span
        return address

    def free(self, address: int, span: int) -> None:
        """Give the memory back, and the addresses to whoever asks next."""
        with self._lock:
            span = max(_round(span, PAGE), self._huge.pop(address, 0))
            for mirror in self._mirrors.pop(address, ()):
                self._map_mirror(Mirror(mirror.address, mirror.size, mirror.address - self.address))
            self.empty(address, span)
            self._free.append((address, span))
            self._merge()

    def _merge(self) -> None:
        merged: list[tuple[int, int]] = []
        for start, size in sorted(self._free):
            if merged and merged[-1][0] + merged[-1][1] == start:
                merged[-1] = merged[-1][0], merged[-1][1] + size
            else:
                merged.append((start, size))
        self._free = merged

    def empty(self, address: int, span: int) -> None:
        """Back to all zero, in every process."""
        punch_hole(self.descriptor, address - self.address, _round(span, PAGE))

    def mirror(self, owner: int, mirrors: Iterable[Mirror]) -> None:
        """Map second views that belong to the memory at `owner`. Raises OSError."""
        made = tuple(mirrors)
        with self._lock:
            self._mirrors[owner] = made
        for each in made:
            self._map_mirror(each)

    def _map_mirror(self, mirror: Mirror) -> None:
        protection, flags = PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED
        map_memory(mirror.address, mirror.size, protection, flags, self.descriptor, mirror.offset)


class ArenaMemory(Memory):
    """One piece of an arena. Threads: see Memory."""

    def __init__(self, arena: Arena, layout: Plain) -> None:
        """Raises OSError (ENOMEM)."""
        self._arena: Arena | None = arena
        self.size = layout.size
        self.address = arena.allocate(layout.size, huge_pages=layout.huge_pages)

    def clear(self) -> None:
        if self._arena is not None:
            self._arena.empty(self.address, self.size)

    def close(self) -> None:
        arena, self._arena = self._arena, None
        if arena is not None:
            arena.free(self.address, self.size)


class ArenaRings(RingMemory):
    """Rings in an arena. Threads: see Memory."""

    def __init__(self, arena: Arena, layout: Rings) -> None:
        """Raises OSError (ENOMEM)."""
        super().__init__(layout, arena.allocate(layout.span))
        low, self.wake = self.wake, fcntl.fcntl(self.wake, fcntl.F_DUPFD_CLOEXEC, WAKE_DESCRIPTORS)
        os.close(low)
        self._arena = arena
        views = []
        for ring in range(layout.count):
            data = self.address + ring * layout.stride + layout.control
            views.append(Mirror(data + layout.data, layout.data, data - arena.address))
        arena.mirror(self.address, views)

    def _unmap(self) -> None:
        self._arena.free(self.address, self.layout.span)


def _round(number: int, alignment: int) -> int:
    return -(-number // alignment) * alignment
