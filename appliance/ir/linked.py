"""Linked code, wherever it runs."""

from __future__ import annotations

from typing import Protocol


class LinkedCode(Protocol):
    """Native code that is kept as long as somebody holds it. An Engine is code of this process. Any thread."""

    def address(self, name: str) -> int:
        """Of an exported function, where the code runs. Raises KeyError, or RuntimeError once it is closed."""
        ...

    def hold(self) -> None:
        """Keep it, whatever its owner does, until `release`. Raises RuntimeError once it is closed."""
        ...

    def release(self) -> None:
        """Let go what `hold` kept."""
        ...

    def close(self) -> None:
        """Give it up: it ends with the last one who holds it."""
        ...
