"""sys/mman.h and asm-generic/mman-common.h: mapping memory at a given address, which the standard library can't."""

from __future__ import annotations

import ctypes
import os

PROT_NONE, PROT_READ, PROT_WRITE = 0, 1, 2
MAP_SHARED, MAP_PRIVATE = 0x01, 0x02
MAP_FIXED = 0x10  # exactly there, whatever is mapped there
MAP_ANONYMOUS = 0x20
MAP_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_mmap = _libc.mmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_munmap = _libc.munmap
_munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def map_memory(address: int | None, size: int, protection: int, flags: int, descriptor: int = -1) -> int:
    """mmap(2), from the beginning of what the descriptor is of: the address. Raises OSError."""
    mapped = _mmap(address, size, protection, flags, descriptor, 0)
    if mapped is None or mapped == MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(mapped)


def reserve_memory(size: int, address: int | None = None) -> int:
    """Addresses that nothing else is given, without memory behind them; at `address` whatever is mapped there goes.
    Raises OSError."""
    return map_memory(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | (0 if address is None else MAP_FIXED))


def unmap_memory(address: int, size: int) -> None:
    """munmap(2)."""
    _munmap(address, size)
