"""Where a program's trace goes: lines in plain memory that whoever runs the program provides, one writer each.

    TraceHead             lines
    +----------+------+------+--------+------+--------+----
    | capacity | used | lost | length | text | length | …
    +----------+------+------+--------+------+--------+----

HostContext.trace is its address, or 0: then nobody reads, and nothing is formatted. A line that does not fit is counted
and lost. (docs/decisions/0010-a-trace-that-costs-nothing.md)
"""

from __future__ import annotations

import ctypes

CAPACITY = 1 << 16  # bytes of lines, their lengths included
LONGEST_LINE = 1023  # MAX_BPRINTF_BUF, without the zero
LENGTH_SIZE = 4


class TraceHead(ctypes.Structure):
    """What stands before the lines: bytes that there are for them, bytes that they take, and lines that did not fit."""

    _fields_ = (("capacity", ctypes.c_uint64), ("used", ctypes.c_uint64), ("lost", ctypes.c_uint64))


HEAD_SIZE = ctypes.sizeof(TraceHead)


class TraceLog:
    """The memory of a trace; programs may write to it for as long as it is referenced.
    For the thread that runs the program."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._memory = ctypes.create_string_buffer(HEAD_SIZE + capacity)
        self._head = TraceHead.from_buffer(self._memory)
        self._head.capacity = capacity

    @property
    def address(self) -> int:
        """For HostContext.trace."""
        return ctypes.addressof(self._memory)

    @property
    def lost(self) -> int:
        """Lines that did not fit."""
        return int(self._head.lost)

    def lines(self) -> tuple[bytes, ...]:
        """What was printed, oldest first."""
        text, lines = self._memory.raw[HEAD_SIZE : HEAD_SIZE + self._head.used], []
        while text:
            end = LENGTH_SIZE + int.from_bytes(text[:LENGTH_SIZE], "little")
            lines.append(text[LENGTH_SIZE:end])
            text = text[end:]
        return tuple(lines)


def append_line(address: int, line: bytes) -> None:
    """Put a line into the trace at that address, as native code does."""
    head, line = TraceHead.from_address(address), line[:LONGEST_LINE]
    if head.used + LENGTH_SIZE + len(line) > head.capacity:
        head.lost += 1
        return
    entry = len(line).to_bytes(LENGTH_SIZE, "little") + line
    ctypes.memmove(address + HEAD_SIZE + head.used, entry, len(entry))
    head.used += len(entry)
