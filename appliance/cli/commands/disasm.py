"""`tidegate disasm OBJ`: the instructions of every program, with the source lines they came from."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.ebpf.isa.disassembler import disassemble
from appliance.ebpf.objects.objects import load_object_file
from appliance.ebpf.platform import PLATFORMS
from appliance.errors import InputRefused


@click.command()
@click.argument("path", metavar="OBJ", type=click.Path(path_type=Path))
@click.option("--section", help="Only programs of this section.")
def command(path: Path, section: str | None) -> None:
    """List the instructions of an eBPF object with their source lines."""
    spec = load_object_file(path)
    programs = [program for program in spec.programs.values() if section in (None, program.section)]
    if not programs:
        known = ", ".join(sorted({program.section for program in spec.programs.values()}))
        raise InputRefused("no program in that section", where=str(path), hint=f"sections: {known or 'none'}")
    for number, program in enumerate(programs):
        print(("\n" if number else "") + f"{program.section}: {program.name}")
        if program.fault is not None:
            print(f"can't be put together: {program.fault}")
            continue
        print("\n".join(disassemble(program.instructions, program.lines, PLATFORMS[spec.platform].at(program.hook))))
