"""Memory of this process alone: anonymous mappings."""

from __future__ import annotations

import ctypes
import mmap
import os
from contextlib import suppress
from typing import Final

from appliance.memory.layouts import Layout, Plain, Rings
from appliance.memory.memory import Memory, RingMemory
from hooks.linux.mman import (
    MAP_FIXED,
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
    map_memory,
    reserve_memory,
    unmap_memory,
)


class PrivateMemory(Memory):
    """One anonymous mapping. Threads: see Memory."""

    def __init__(self, layout: Plain) -> None:
        """Raises OSError (ENOMEM)."""
        self.size = layout.size
        self._mapping = mmap.mmap(-1, layout.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if layout.huge_pages:
            with suppress(OSError):  # a kernel without them: then it is pages of the usual size
                self._mapping.madvise(mmap.MADV_HUGEPAGE)
        self._anchor: ctypes.c_char | None = ctypes.c_char.from_buffer(self._mapping)
        self.address = ctypes.addressof(self._anchor)

    def clear(self) -> None:
        self._mapping.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        if self._anchor is not None:
            self._anchor = None
            self._mapping.close()


class PrivateRings(RingMemory):
    """Rings in a file of their own, of which every byte of data is mapped twice. Threads: see Memory."""

    def __init__(self, layout: Rings) -> None:
        """Raises OSError (ENOMEM)."""
        descriptor = os.memfd_create("ring", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, layout.size)
            super().__init__(layout, reserve_memory(layout.span))
            for ring in range(layout.count):
                place, start = self.address + ring * layout.stride, ring * (layout.control + layout.data)
                _map_shared(place, layout.control + layout.data, descriptor, start)
                _map_shared(place + layout.control + layout.data, layout.data, descriptor, start + layout.control)
        finally:
            os.close(descriptor)

    def _unmap(self) -> None:
        unmap_memory(self.address, self.layout.span)


class Private:
    """The reserve of memory that no other process sees. Any thread."""

    def take(self, layout: Layout) -> Memory:
        """Raises OSError (ENOMEM)."""
        return PrivateRings(layout) if isinstance(layout, Rings) else PrivateMemory(layout)


def _map_shared(place: int, size: int, descriptor: int, offset: int) -> None:
    map_memory(place, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, offset)


PRIVATE: Final = Private()
