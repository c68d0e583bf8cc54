"""What was freed is closed to everybody, and its addresses are never used again: for processes that fuzz.

    live                                   freed here                            freed everywhere else
    memory of maps, routing tables    ──>  PROT_NONE, and kept               |   munmap: the next map may move in
    rings, whose data is there twice  ──>  PROT_NONE, and kept               |   munmap
    native code                       ──>  PROT_NONE, and never unlinked     |   LLVM unlinks it, the next moves in

So whoever still looks there, jumps there or returns to there dies of SIGSEGV at once, and not only if nobody has moved
in meanwhile. It costs address space, and the memory of what was freed: lives here are short. Mappings of files and of
sockets are given back as ever: they hold an interface.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import Any

from appliance.ir import Engine
from appliance.memory import private

PROT_NONE = 0
_mprotect = ctypes.CDLL(None, use_errno=True).mprotect
_mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_kept: list[object] = []  # what would end with the last who names it


def cast() -> None:
    """From now on, in the whole process, for whatever is made from now on. Before any thread begins."""
    mmap.mmap = Mapping  # type: ignore[misc]
    private.unmap_memory = close_to_everybody
    Engine._end = _end_poisoned  # type: ignore[method-assign]


def close_to_everybody(address: int, size: int) -> None:
    """Whole pages, from now on. Raises OSError."""
    if _mprotect(address, size, PROT_NONE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Mapping(mmap.mmap):
    """One whose anonymous memory stays when it is closed."""

    anonymous = False

    def __new__(cls, fileno: int, length: int, *arguments: Any, **options: Any) -> Mapping:
        made = super().__new__(cls, fileno, length, *arguments, **options)
        made.anonymous = fileno == -1
        return made

    def close(self) -> None:
        if not self.anonymous:
            super().close()
        elif self not in _kept:
            _kept.append(self)
            close_to_everybody(ctypes.addressof(ctypes.c_char.from_buffer(self)), len(self))


class Code:
    """The code of an engine that has ended: from the first page of a function that it exports to the last one's."""

    def __init__(self, kept: tuple[Any, ...], places: list[int]) -> None:
        self._kept = kept
        self._first = min(places) & -mmap.PAGESIZE
        self._size = (max(places) & -mmap.PAGESIZE) + mmap.PAGESIZE - self._first

    def close(self) -> None:
        """Nobody may be in it any more."""
        _kept.append(self)
        close_to_everybody(self._first, self._size)


_end = Engine._end


def _end_poisoned(engine: Engine) -> tuple[Any, ...]:
    """In the place of `Engine._end`: what is to be freed then is the same code, another way."""
    linked = engine._linked
    ended = _end(engine)
    return (Code(ended, [linked[name] for name in engine.code.exports]),) if ended else ()
