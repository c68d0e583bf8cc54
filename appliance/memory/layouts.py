"""What memory is asked for, as data."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TypeAlias

PAGE = mmap.PAGESIZE


@dataclass(frozen=True, slots=True)
class Plain:
    """`size` bytes in one piece, all zero. `huge_pages` asks for 2 MiB at a time: for memory that fills from its
    beginning and is read all over."""

    size: int
    huge_pages: bool = False


@dataclass(frozen=True, slots=True)
class Rings:
    """`count` rings of `control` bytes and `data` bytes, whole pages each, whose data is there twice in a row, so that
    what wraps around lies in one piece:

        ┌─────────┬──────────┬──────────┐┌─────────┬──────────┬──────────┐
        │ control │   data   │ the same ││ control │   data   │ the same │      one ring after the other
        └─────────┴──────────┴──────────┘└─────────┴──────────┴──────────┘

    Source of the idea: kernel/bpf/ringbuf.c, bpf_ringbuf_area_alloc."""

    control: int
    data: int
    count: int = 1

    @property
    def size(self) -> int:
        """Bytes that are there, each counted once."""
        return self.count * (self.control + self.data)

    @property
    def stride(self) -> int:
        """From one ring to the next, as addresses go."""
        return self.control + 2 * self.data

    @property
    def span(self) -> int:
        """Of addresses."""
        return self.count * self.stride


Layout: TypeAlias = Plain | Rings
