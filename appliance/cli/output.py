"""How commands speak: one JSON document on standard output, or words; warnings on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.console import Console

UNLIMITED = 100_000  # columns

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


def print_json(document: Any) -> None:
    """The one document that `--json` promises."""
    print(json.dumps(document, indent=2))


def table_console() -> Console:
    """Where tables go. What is no terminal has no width: there, a row is a line and no name is cut."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else UNLIMITED)


def counted(number: int, noun: str) -> str:
    """`1 rule`, `2 rules`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def warn(text: str) -> None:
    """Something the user should know that does not end the command."""
    print(f"tidegate: {text}", file=sys.stderr)
