"""Those who are waited for: native loops, which announce themselves, and native calls, which Python announces."""

from __future__ import annotations

import ctypes
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from appliance.epochs.domain import Domain

QUIESCENT = 0  # the epoch of a reader that holds nothing: it sleeps, or has not begun


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


class Section:
    """A read-side critical section of a Python thread, made by `Domain.reading` and entered once: what it reads inside
    is not freed before it leaves. It may be entered inside another one. Only the thread that enters it leaves it."""

    __slots__ = ("_domain", "_what", "epoch", "thread")

    def __init__(self, domain: Domain, what: str) -> None:
        self._domain = domain
        self._what = what
        self.epoch = QUIESCENT
        self.thread = 0

    @property
    def name(self) -> str:
        return f"{self._what} (thread {self.thread})"

    def __enter__(self) -> None:
        self.thread = get_ident()
        self._domain.enter(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._domain.leave(self)
