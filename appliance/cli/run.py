"""`tidegate run CONFIG`: the box in the foreground."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from appliance.box.box import Box


@click.command()
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path))
def command(path: Path) -> None:
    """Run the box in the foreground; SIGHUP reloads, SIGTERM ends."""
    Box(path, log=lambda text: print(f"tidegate: {text}", file=sys.stderr, flush=True)).run()
