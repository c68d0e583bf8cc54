"""Memory that outlives any code: one anonymous mapping, all zero, whose pages exist once they are touched."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import suppress


class Memory:
    """`size` bytes at `address`, aligned to a page. Closing twice is harmless.
    Any thread may use the bytes; one makes and closes it."""

    def __init__(self, size: int, *, huge_pages: bool = False) -> None:
        """Raises OSError (ENOMEM) if the machine doesn't grant that much.

        `huge_pages` asks for 2 MiB at a time: for memory that fills from its beginning and is read all over."""
        self.size = size
        self._mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if huge_pages:
            with suppress(OSError):  # a kernel without them: then it is pages of the usual size
                self._mapping.madvise(mmap.MADV_HUGEPAGE)
        self._anchor: ctypes.c_char | None = ctypes.c_char.from_buffer(self._mapping)
        self.address = ctypes.addressof(self._anchor)

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset` from Python, before any code works on the memory."""
        self._mapping[offset : offset + len(data)] = data

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, as they are now."""
        return self._mapping[offset : offset + size]

    def clear(self) -> None:
        """Back to all zero, at the same address, before any code works on the memory again."""
        self._mapping.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Give the pages back. Nobody may hold a pointer into them any more."""
        if self._anchor is not None:
            self._anchor = None
            self._mapping.close()
