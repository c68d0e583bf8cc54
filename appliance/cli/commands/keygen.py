"""`tidegate keygen -o KEY.pem`: a private key that nobody else can read, and the public one beside it."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.box.approval.files import make_new
from appliance.box.approval.keeping.client import KeeperClient
from appliance.box.approval.keeping.keeper import KeyFile
from appliance.errors import InputRefused


@click.command()
@click.option("-o", "--output", metavar="KEY.pem", required=True, type=click.Path(path_type=Path))
def command(output: Path) -> None:
    """Make an Ed25519 key that approves code: KEY.pem for whoever approves, KEY.pub for the boxes that are to trust it.

    \b
    Example:
      tidegate keygen -o release.pem
      tidegate approve firewall.o --key release.pem -o firewall.approved
      trust: {keys: [release.pub]}                in the box's document
    """
    public = output.with_suffix(".pub")
    if public == output:
        raise InputRefused("the public key would have this name", where=str(output), hint="call it KEY.pem")
    if public.exists():
        raise InputRefused("it exists already", where=str(public), hint="nothing is overwritten: choose another name")
    with KeeperClient.start(output, file=KeyFile.NEW) as keeper:  # the key is in no other process
        make_new(public, keeper.public.pem(), 0o644)
        print(f"{output}: the private key; {public}: the public one\nid {keeper.public.id}")
