"""What holds something that Python does not free: memory, sockets, threads, engines.

with Thing.open(…) as thing:
    …
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closeable(ABC):
    """A context manager that closes itself. Which threads may use it, each class says for itself."""

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds. Closing twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
