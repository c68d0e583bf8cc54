"""Bytes at an address, and who gives them."""

from __future__ import annotations

import ctypes
import os
from typing import Protocol

from appliance.memory.layouts import Layout, Rings


class Memory:
    """`size` bytes at `address`, aligned to a page, all zero at first; pages exist once they are touched.

    Closing twice is harmless. Any thread may use the bytes; one takes and closes them. Whose they are is a reserve's.
    """

    address: int
    size: int

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset` from Python, before any code works on the memory."""
        ctypes.memmove(self.address + offset, data, len(data))

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, as they are now."""
        return ctypes.string_at(self.address + offset, size)

    def clear(self) -> None:
        """Back to all zero, at the same address, before any code works on the memory again."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the pages back. Nobody may hold a pointer into them any more."""
        raise NotImplementedError


class RingMemory(Memory):
    """Memory in the layout of rings. Threads: see Memory.

    A consumer waits on `wake`, an eventfd that lives as long as the memory: whoever may still write to its number,
    which stands in the memory, never reaches another file.
    """

    def __init__(self, rings: Rings, address: int) -> None:
        self.layout = rings
        self.size = rings.size
        self.address = address
        self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._open = True

    def clear(self) -> None:
        layout = self.layout
        for start in range(0, layout.span, layout.stride):
            ctypes.memset(self.address + start, 0, layout.control + layout.data)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._unmap()
            os.close(self.wake)

    def _unmap(self) -> None:
        raise NotImplementedError


class Reserve(Protocol):
    """Who gives memory. Any thread."""

    def take(self, layout: Layout) -> Memory:
        """Memory in that layout, a RingMemory for rings. Raises OSError (ENOMEM) if there is not that much."""
