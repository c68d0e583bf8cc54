"""sys/mman.h and asm-generic/mman-common.h: mapping memory at a given address, which the standard library can't; and
giving back a part of a file."""

from __future__ import annotations

import ctypes
import os

PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC = 0, 1, 2, 4
MAP_SHARED, MAP_PRIVATE = 0x01, 0x02
MAP_FIXED = 0x10  # exactly there, whatever is mapped there
MAP_ANONYMOUS = 0x20
MAP_NORESERVE = 0x4000
MAP_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_mmap = _libc.mmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_munmap = _libc.munmap
_munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_mprotect = _libc.mprotect
_mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_madvise = _libc.madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_fallocate = _libc.fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)

FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 0x01, 0x02  # linux/falloc.h


def map_memory(
    address: int | None, size: int, protection: int, flags: int, descriptor: int = -1, offset: int = 0
) -> int:
    """mmap(2), from `offset` of what the descriptor is of: the address. Raises OSError."""
    mapped = _mmap(address, size, protection, flags, descriptor, offset)
    if mapped is None or mapped == MAP_FAILED:
        raise _failed()
    return int(mapped)


def _failed() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def reserve_memory(size: int, address: int | None = None) -> int:
    """Addresses that nothing else is given, without memory behind them; at `address` whatever is mapped there goes.
    Raises OSError."""
    return map_memory(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | (0 if address is None else MAP_FIXED))


def unmap_memory(address: int, size: int) -> None:
    """munmap(2)."""
    _munmap(address, size)


def protect_memory(address: int, size: int, protection: int) -> None:
    """mprotect(2). Raises OSError."""
    if _mprotect(address, size, protection):
        raise _failed()


def advise_memory(address: int, size: int, advice: int) -> bool:
    """madvise(2), with the `mmap` module's MADV_*: whether the kernel takes it."""
    return bool(_madvise(address, size, advice) == 0)


def punch_hole(descriptor: int, offset: int, size: int) -> None:
    """fallocate(2): give these bytes of a file back; they read as zeros. Raises OSError."""
    if _fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size):
        raise _failed()
