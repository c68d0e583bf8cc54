"""What is asked of memory: so many bytes at a place, to read them, to write them, or to let a helper do so."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, TypeAlias

from appliance.verifier.domains.values import Pointer
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State


class Purpose(Enum):
    """What an access does; the value is the verb of the message."""

    READ = "reads"
    WRITE = "writes"
    UPDATE = "atomically updates"
    PASS = "lets the helper read"
    FILL = "lets the helper write"
    KEEP = "makes a dynptr of"
    USE = "lets the helper use"


WRITING = frozenset({Purpose.WRITE, Purpose.UPDATE, Purpose.FILL})
READING = frozenset({Purpose.READ, Purpose.UPDATE, Purpose.PASS})


class Request(NamedTuple):
    """`size` bytes at `offset` bytes from the pointer in `register`."""

    register: int
    pointer: Pointer
    offset: int
    size: int
    purpose: Purpose

    @property
    def low(self) -> int:
        """The lowest first byte, counted from the region's start, or from r10."""
        return self.pointer.least + self.offset - self.pointer.base

    @property
    def high(self) -> int:
        """One past the highest last byte."""
        return self.pointer.most + self.offset + self.size - self.pointer.base

    def span(self, what: str = "") -> str:
        """The bytes in words, of `what`."""
        if self.high - self.low == self.size:
            return what + span_words(self.low, self.high)
        return f"{byte_words(self.size)} somewhere in {what}{span_words(self.low, self.high)}"


# When such a request may be granted: raises Violation where it may not.
Rule: TypeAlias = Callable[[Environment, State, Request], None]


def byte_words(size: int) -> str:
    """How many, in words."""
    return "1 byte" if size == 1 else f"{size} bytes"


def span_words(low: int, high: int) -> str:
    """The bytes [low, high), in words."""
    return f"byte {low}" if high - low == 1 else f"bytes {low} to {high - 1}"
