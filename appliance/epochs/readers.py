"""Those who are waited for, as a domain knows them; native loops among them, which announce themselves."""

from __future__ import annotations

import ctypes
from typing import Protocol

QUIESCENT = 0  # the epoch of a reader that holds nothing: it is offline, or has not begun


class Reader(Protocol):
    """What a domain knows of one."""

    @property
    def name(self) -> str:
        """Who it is, for whoever waits for it in vain."""

    @property
    def epoch(self) -> int:
        """It holds nothing that was taken out before this epoch began. QUIESCENT: it holds nothing at all."""


class NativeReader:
    """A native loop. It alone writes its word, 8 aligned bytes at `place`; `appliance.ir.quiescence` says how.

    Whoever made it sees to it that the word outlives its registration. Any thread may read it.
    """

    def __init__(self, name: str, place: int) -> None:
        self.name = name
        self._word = ctypes.c_uint64.from_address(place)

    @property
    def epoch(self) -> int:
        return self._word.value

    def __repr__(self) -> str:
        return f"<{self.name}, epoch {self.epoch}>"
