"""`tidegate compile RULES -o OUT.o`: a rule set to an eBPF object that runs here, in the Linux kernel, or elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.fill import PINS, write_fill
from appliance.cli.output import counted, warn
from appliance.errors import CannotRun
from appliance.rules.code.compile import compile_rule_set
from appliance.rules.document.load import load_rule_set


@click.command()
@click.argument("rules", metavar="RULES", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT.o", required=True, type=click.Path(path_type=Path))
@click.option(
    "--fill",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write what its maps must be given, a file of `bpftool batch` for each, into this folder.",
)
@click.option("--pins", metavar="DIR", default=PINS, show_default=True, help="With --fill: where the maps are pinned.")
def command(rules: Path, output: Path, fill: Path | None, pins: str) -> None:
    """Compile a rule set to a portable eBPF object.

    \b
    Examples:
      tidegate compile rules.yaml -o rules.o
      tidegate compile rules.yaml -o rules.o --fill maps
    """
    compiled = compile_rule_set(load_rule_set(rules))
    try:
        output.write_bytes(compiled.object)
    except OSError as error:
        raise CannotRun(f"can't be written: {error.strerror}", where=str(output)) from error
    print(f"{output}: {len(compiled.object)} bytes, {counted(len(compiled.rules), 'rule')}")
    if fill is not None:
        written = write_fill(fill, compiled.contents, pins.rstrip("/"))
        print(f"{fill}: {counted(len(written), 'file')} for `bpftool batch file`")
        return
    for name, entries in compiled.contents.items():
        if entries:
            whose = f"whoever loads it must put {len(entries)} entries into map `{name}` (see --fill)"
            warn(f"an object can't carry a large set: {whose}")
