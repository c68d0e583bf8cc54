"""Memory that is executed is not written any more.

A library may have made a page for functions that call back (libffi's closures are written where they are executed), and
a write into that page would be code. What is there goes on working; nothing can be added.
"""

from __future__ import annotations

from pathlib import Path

from hooks.linux.mman import PROT_EXEC, PROT_READ, protect_memory


def forbid_writing_code() -> None:
    """Take the right to write from all of this process's memory that may be executed. Raises OSError."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, permissions, *_ = line.split()
        if "w" in permissions and "x" in permissions:
            begin, end = (int(number, 16) for number in place.split("-"))
            protect_memory(begin, end - begin, PROT_READ | PROT_EXEC)
