"""Memory of rings, whose data is there twice in a row, so that what wraps around lies in one piece.

    address ─> ┌─────────┬──────────┬──────────┐┌─────────┬──────────┬──────────┐
               │ control │   data   │ the same ││ control │   data   │ the same │      one ring after the other
               └─────────┴──────────┴──────────┘└─────────┴──────────┴──────────┘

A consumer waits on `wake`, an eventfd that lives as long as the memory: whoever may still write to its number, which
stands in the memory, never reaches another file. Source of the idea: kernel/bpf/ringbuf.c, bpf_ringbuf_area_alloc.
"""

from __future__ import annotations

import ctypes
import mmap
import os

from appliance.maps.memory import Memory

PAGE = mmap.PAGESIZE

_PROT_NONE, _MAP_FIXED = 0, 0x10  # include/uapi/asm-generic/mman-common.h
_FAILED = ctypes.c_void_p(-1).value
_SHARED = mmap.MAP_SHARED | _MAP_FIXED
_RESERVED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

_libc = ctypes.CDLL(None, use_errno=True)
_mmap = _libc.mmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_munmap = _libc.munmap
_munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class RingMemory(Memory):
    """`rings` times `control` bytes and `data` bytes twice, whole pages each. Closing twice is harmless.
    Any thread may use the bytes; one makes and closes it."""

    def __init__(self, control: int, data: int, rings: int = 1) -> None:
        """Raises OSError if the machine doesn't grant that much."""
        self.size = rings * (control + data)
        self.stride = control + 2 * data
        self._control = control
        self._span = rings * self.stride
        descriptor = os.memfd_create("ring", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, self.size)
            self.address = _map(None, self._span, _PROT_NONE, _RESERVED, -1, 0)
            for ring in range(rings):
                place, start = self.address + ring * self.stride, ring * (control + data)
                _map(place, control + data, mmap.PROT_READ | mmap.PROT_WRITE, _SHARED, descriptor, start)
                again = place + control + data
                _map(again, data, mmap.PROT_READ | mmap.PROT_WRITE, _SHARED, descriptor, start + control)
        finally:
            os.close(descriptor)
        self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._open = True

    def write(self, offset: int, data: bytes) -> None:
        ctypes.memmove(self.address + offset, data, len(data))

    def read(self, offset: int, size: int) -> bytes:
        return ctypes.string_at(self.address + offset, size)

    def clear(self) -> None:
        for start in range(0, self._span, self.stride):
            ctypes.memset(self.address + start, 0, self._control + (self.stride - self._control) // 2)

    def close(self) -> None:
        if self._open:
            self._open = False
            _munmap(self.address, self._span)
            os.close(self.wake)


def _map(place: int | None, size: int, protection: int, flags: int, descriptor: int, offset: int) -> int:
    address = _mmap(place, size, protection, flags, descriptor, offset)
    if address is None or address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(address)
