"""`tidegate approve OBJ --key KEY.pem -o OBJ.approved`: proved, compiled and signed here, to run elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from appliance.box.approval.container import ApprovedFile
from appliance.box.approval.files import replace_file
from appliance.box.approval.keeping.client import KeeperClient
from appliance.box.approval.keeping.keeper import KeyFile
from appliance.box.approval.statements.claim import MOST_WORKERS
from appliance.box.approval.trust import told_time
from appliance.box.proving.prover import Prover
from appliance.box.proving.request import BuildRequest, ObjectFile
from appliance.cli.output import counted
from appliance.ebpf.objects.objects import load_object
from appliance.errors import CannotRun, InputRefused

UNITS = {"m": 60, "h": 3600, "d": 86_400}
LONGEST_DAYS = 3660


class Lifetime(click.ParamType[int]):
    """`90d`, `12h`, `30m`, in seconds. Any thread."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"([0-9]{1,7})([mhd])", str(value))
        seconds = int(found[1]) * UNITS[found[2]] if found else 0
        if not 0 < seconds <= LONGEST_DAYS * UNITS["d"]:
            self.fail(f"{value!r} is no time: write 90d, 12h or 30m, {LONGEST_DAYS}d at most", param, ctx)
        return seconds


@click.command()
@click.argument("path", metavar="OBJ", type=click.Path(path_type=Path))
@click.option("--key", metavar="KEY.pem", required=True, type=click.Path(path_type=Path), help="Who approves it.")
@click.option("-o", "--output", metavar="OBJ.approved", required=True, type=click.Path(path_type=Path))
@click.option("--expires", type=Lifetime(), default="90d", show_default=True, help="How long it holds: 90d, 12h.")
@click.option(
    "--workers", type=click.IntRange(1, MOST_WORKERS), default=1, show_default=True, help="As in the box's document."
)
@click.option("--inward", "--program", "inward", metavar="P", help="The program for frames from outside, if several.")
@click.option("--outward", metavar="P", help="The program for frames from inside; they pass if there is none.")
def command(
    path: Path, key: Path, output: Path, expires: int, workers: int, inward: str | None, outward: str | None
) -> None:
    """Verify an object, compile it for this machine's processor, and sign all of it.

    A box that trusts the key runs the file as it is: `program: {object: OBJ.approved}`. It has to be of the same
    version of Tidegate, and to have a processor of this kind.

    \b
    Example:
      tidegate approve firewall.o --key release.pem -o firewall.approved --expires 30d
    """
    try:
        file = ObjectFile(str(path), path.read_bytes())
    except OSError as error:
        raise InputRefused(f"can't be read: {error.strerror}", where=str(path)) from None
    request = BuildRequest(file, inward or _only_program(file), outward, workers)
    with KeeperClient.start(key, lifetime=expires, file=KeyFile.KNOWN) as keeper, Prover() as prover:
        built = prover.build(request)
        approval = keeper.sign(request, built)
    try:
        replace_file(output, ApprovedFile(approval, request, built).to_bytes(), 0o644)
    except InputRefused as error:
        raise CannotRun(f"can't be written: {error.what}", where=str(output)) from None
    statement = approval.statement()
    names = counted(len(built.programs), "program")
    print(f"{output}: {names}, {counted(workers, 'worker')}, until {told_time(statement.expires)}")
    print(f"approval {approval.digest}, serial {statement.serial}, of key {keeper.public.id}")


def _only_program(file: ObjectFile) -> str:
    spec = load_object(file.data, file.source)
    names = [name for name, program in spec.programs.items() if program.hook.judges_frames]
    if len(names) != 1:
        hint = f"name one by --program: {', '.join(names)}" if names else "it holds no XDP program"
        raise InputRefused(f"the object holds {len(names)} programs", where=file.source, hint=hint)
    return names[0]
