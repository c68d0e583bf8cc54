"""`tidegate explain [KIND]`: the page about a kind of rejection, or which kinds there are."""

from __future__ import annotations

import click

from appliance.shipped import shipped
from appliance.verifier.reports.rejections import Rejection


@click.command()
@click.argument("kind", required=False, type=click.Choice([kind.value for kind in Rejection]), metavar="[KIND]")
@click.option("--list", "listed", is_flag=True, help="List every kind, as without one.")
def command(kind: str | None, listed: bool) -> int:
    """Print what a kind of rejection means, with a bad and a fixed program; KIND is in the last line of a rejection."""
    if kind is not None and listed:
        raise click.UsageError("a kind and --list can't be given together: say which you want")
    if kind is not None:
        print(_text(Rejection(kind)), end="")
        return 0
    width = max(len(kind) for kind in Rejection)
    for each in Rejection:
        print(f"{each.value:{width}}  {_text(each).partition(chr(10))[0].removeprefix('# ')}")
    return 0


def _text(kind: Rejection) -> str:
    return shipped(kind.page).read_text(encoding="utf-8")
