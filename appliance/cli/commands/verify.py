"""`tidegate verify OBJ…`: a verdict for every program of every file, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from appliance.cli.output import json_option, print_json, warn
from appliance.cli.program_types import names_of_types
from appliance.cli.verdict_table import Progress, VerdictTable, cells
from appliance.cli.verification import ACCEPTED, UNSUPPORTED, ObjectFile, Row, Selection, Verification
from appliance.ebpf.btf.index import read_btf_file
from appliance.ebpf.platform import PLATFORMS
from appliance.verifier.graphs import draw, lines


@click.command()
@click.argument("objects", metavar="OBJ...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--section", help="Only programs of this section.")
@click.option("--program", "name", help="Only the program of this name.")
@click.option(
    "--type",
    "type_name",
    metavar="TYPE",
    type=click.Choice(names_of_types()),
    help="What programs are whose section does not say it (xdp, tc, …); found out by trying if not given.",
)
@click.option("--platform", "platform_name", type=click.Choice(sorted(PLATFORMS)), help="Recognised if not given.")
@click.option(
    "--btf", "types", type=click.Path(path_type=Path), help="Types for CO-RE; the running kernel's if not given."
)
@click.option("-v", "--verbose", is_flag=True, help="List every program with what is known before each instruction.")
@click.option("--dot", is_flag=True, help="Print the control-flow graphs, in Graphviz's language, and nothing else.")
@json_option
def command(
    objects: tuple[Path, ...],
    section: str | None,
    name: str | None,
    type_name: str | None,
    platform_name: str | None,
    types: Path | None,
    verbose: bool,
    dot: bool,
    as_json: bool,
) -> int:
    """Verify the programs of eBPF objects, and say of each that is not accepted why.

    Exit status: 0 all are accepted; 1 one is not, or a file is refused; 2 wrong usage; 130 interrupted.
    """
    formats = [option for option, given in (("--verbose", verbose), ("--dot", dot), ("--json", as_json)) if given]
    if len(formats) > 1:
        raise click.UsageError(f"{' and '.join(formats)} can't be given together: say how you want the answer")
    wanted = Selection(
        section,
        name,
        type_name,
        PLATFORMS[platform_name] if platform_name else None,
        read_btf_file(types) if types is not None else None,
        explained=verbose or dot,
    )
    files = [ObjectFile(path, wanted) for path in objects]
    if as_json:
        rows = [one.row for one in _verified(files)]
        print_json([asdict(row) for row in rows])
    elif dot:
        rows = _draw(files)
    elif verbose:
        rows = _list(files)
    else:
        rows = _tabulate(files)
    return int(any(row.verdict != ACCEPTED for row in rows))


def _verified(files: list[ObjectFile]) -> Iterator[Verification]:
    with Progress(sum(len(file.programs) for file in files)) as progress:
        for file in files:
            for program in file.programs:
                progress.show(f"{program.section}: {program.name}")
                verification = file.verify(program)
                progress.clear()
                yield verification


def _tabulate(files: list[ObjectFile]) -> list[Row]:
    """A row for each program as soon as there is one, and below them the rejections in full."""
    table = VerdictTable([cells(row) for file in files for row in file.planned()])
    rows: list[Row] = []
    for one in _verified(files):
        table.add(one.row)
        rows.append(one.row)
    for row in rows:
        if row.reason:
            print(f"\n{row.program}: {row.verdict}\n{row.reason}")
    return rows


def _list(files: list[ObjectFile]) -> list[Row]:
    """The listing of each program, and its verdict below."""
    rows: list[Row] = []
    for one in _verified(files):
        print(("\n" if rows else "") + f"{one.row.section}: {one.row.program}")
        for line in lines(one.explanation) if one.explanation is not None else ():
            print(line)
        print(f"\n{one.row.program}: {one.row.verdict}" + (f"\n{one.row.reason}" if one.row.reason else ""))
        rows.append(one.row)
    return rows


def _draw(files: list[ObjectFile]) -> list[Row]:
    """A graph of each program that can be verified."""
    rows: list[Row] = []
    for one in _verified(files):
        if one.explanation is not None:
            print(draw(one.explanation))
        else:
            warn(f"{one.row.file}: no graph of {one.row.program}, which is {UNSUPPORTED}: {one.row.reason}")
        rows.append(one.row)
    return rows
