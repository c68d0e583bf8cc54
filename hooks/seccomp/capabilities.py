"""Doing less for a moment: what this thread does for somebody else, it may do no more than he."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hooks.linux.capability import effective, set_effective


@contextmanager
def only_capabilities(kept: int) -> Iterator[None]:
    """The calling thread has no others in effect meanwhile. Raises OSError."""
    before = effective()
    set_effective(before & kept)
    try:
        yield
    finally:
        set_effective(before)
