"""A process and all that it started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def family(pid: int) -> Iterator[int]:
    """The process, its children, and theirs."""
    yield pid
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from family(int(child))


def name_of(pid: int) -> str:
    """What `ps -o comm` calls it; empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def member(pid: int, name: str) -> int:
    """The one process of that family that is called so."""
    (found,) = (each for each in family(pid) if name_of(each) == name)
    return found
