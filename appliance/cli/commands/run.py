"""`tidegate run CONFIG`: the box in the foreground."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click

from appliance.box.box import Box


@click.command()
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path))
def command(path: Path) -> None:
    """Run the box in the foreground; SIGHUP reloads, SIGTERM ends."""
    Box(path, log=_say).run()


def _say(text: str) -> None:
    """One message on standard error. That nobody hears it any more, or the disk is full, must not end the box."""
    with suppress(OSError):
        print(f"tidegate: {text}", file=sys.stderr, flush=True)
