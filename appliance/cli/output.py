"""How commands speak: one JSON document on standard output, or words; warnings on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


def print_json(document: Any) -> None:
    """The one document that `--json` promises."""
    print(json.dumps(document, indent=2))


def counted(number: int, noun: str) -> str:
    """`1 rule`, `2 rules`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def warn(text: str) -> None:
    """Something the user should know that does not end the command."""
    print(f"tidegate: {text}", file=sys.stderr)
