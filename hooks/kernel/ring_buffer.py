"""A ring buffer of the kernel, read by one process: BPF_MAP_TYPE_RINGBUF.

    page 0         where the reader is            (writable)
    page 1         where the writers are
    2 × size       the data, twice in a row, so that no record is in two pieces

    record    length u32, with busy and discard bits | page offset u32 | data, padded to 8 bytes

Source: kernel/bpf/ringbuf.c.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator

from hooks.kernel.maps import KernelMap

BPF_MAP_TYPE_RINGBUF = 27
_BUSY, _DISCARD = 1 << 31, 1 << 30
_HEADER = 8
PAGE = mmap.PAGESIZE


class KernelRing(KernelMap):
    """One ring of `size` bytes, a power of 2 and whole pages. One thread reads; a context manager."""

    def __init__(self, size: int) -> None:
        """Raises HookError, PrivilegeError."""
        super().__init__(BPF_MAP_TYPE_RINGBUF, 0, 0, size)
        self._size = size
        self._reader = mmap.mmap(self.descriptor, PAGE)
        self._writers = mmap.mmap(self.descriptor, PAGE + 2 * size, prot=mmap.PROT_READ, offset=PAGE)

    def fileno(self) -> int:
        """To wait for records: it is readable when there are some."""
        return self.descriptor

    def records(self) -> Iterator[bytes]:
        """What is there, each once, in order."""
        at = int.from_bytes(self._reader[:8], "little")
        while at < int.from_bytes(self._writers[:8], "little"):
            start = PAGE + at % self._size
            length = int.from_bytes(self._writers[start : start + 4], "little")
            if length & _BUSY:
                return
            size = length & ~_DISCARD
            if not length & _DISCARD:
                yield self._writers[start + _HEADER : start + _HEADER + size]
            at += _HEADER + -(-size // 8) * 8
            ctypes.c_uint64.from_buffer(self._reader).value = at  # one store: writers read it

    def close(self) -> None:
        if self.descriptor >= 0:
            self._reader.close()
            self._writers.close()
        super().close()
