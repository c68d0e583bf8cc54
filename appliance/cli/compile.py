"""`tidegate compile RULES -o OUT.o`: a rule set to an eBPF object that runs here, in the Linux kernel, or elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.output import counted, warn
from appliance.errors import CannotRun
from appliance.rules.code.compile import compile_rule_set
from appliance.rules.document.load import load_rule_set


@click.command()
@click.argument("rules", metavar="RULES", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT.o", required=True, type=click.Path(path_type=Path))
def command(rules: Path, output: Path) -> None:
    """Compile a rule set to a portable eBPF object."""
    compiled = compile_rule_set(load_rule_set(rules))
    try:
        output.write_bytes(compiled.object)
    except OSError as error:
        raise CannotRun(f"can't be written: {error.strerror}", where=str(output)) from error
    print(f"{output}: {len(compiled.object)} bytes, {counted(len(compiled.rules), 'rule')}")
    for name, entries in compiled.contents.items():
        if not entries:
            continue
        warn(f"an object can't carry a large set: whoever loads it must put {len(entries)} entries into map `{name}`")
