"""Tables whose rows are all known before the first is written. Only commands that have one wait for what draws it."""

from __future__ import annotations

import sys

from rich.console import Console

UNLIMITED = 100_000  # columns


def table_console() -> Console:
    """Where tables go. What is no terminal has no width: there, a row is a line and no name is cut."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else UNLIMITED)
