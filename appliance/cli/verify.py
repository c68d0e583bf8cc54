"""`tidegate verify OBJ…`: a verdict for every program of every file, and why."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from appliance.cli.output import json_option, print_json, table_console
from appliance.cli.program_types import candidates, names_of_types
from appliance.ebpf.btf import Btf
from appliance.ebpf.btf_index import read_btf_file
from appliance.ebpf.objects import load_object_file
from appliance.ebpf.platform import PLATFORMS, Platform
from appliance.ebpf.spec import CollectionSpec, ProgramSpec
from appliance.errors import InputRefused
from appliance.verifier.report import Rejected, Report, Unsupported
from appliance.verifier.verifier import Verifier
from hooks.contract import HookPoint

NO_HOOK = "no hook of this platform claims the section; say what kind of program it is with --type"
ACCEPTED, REJECTED, UNSUPPORTED = "accepted", "rejected", "unsupported"
COLOURS = {ACCEPTED: "green", REJECTED: "red", UNSUPPORTED: "yellow"}


@dataclass(frozen=True, slots=True)
class Row:
    """One program's verdict; the fields are those of `--json`. `line` is the source line, as text; `report` is what
    `reason` says, in fields."""

    file: str
    section: str
    program: str
    type: str
    instructions: int
    verdict: str
    reason: str
    line: str
    milliseconds: float
    report: dict[str, object] | None = None


@click.command()
@click.argument("objects", metavar="OBJ...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--section", help="Only programs of this section.")
@click.option("--program", "name", help="Only the program of this name.")
@click.option(
    "--type",
    "type_name",
    type=click.Choice(names_of_types()),
    help="What programs are whose section does not say it; found out by trying if not given.",
)
@click.option("--platform", "platform_name", type=click.Choice(sorted(PLATFORMS)), help="Recognised if not given.")
@click.option(
    "--btf", "types", type=click.Path(path_type=Path), help="Types for CO-RE; the running kernel's if not given."
)
@json_option
def command(
    objects: tuple[Path, ...],
    section: str | None,
    name: str | None,
    type_name: str | None,
    platform_name: str | None,
    types: Path | None,
    as_json: bool,
) -> int:
    """Verify the programs of eBPF objects. Exit status 1 if one of them is not accepted."""
    platform = PLATFORMS[platform_name] if platform_name else None
    target = read_btf_file(types) if types is not None else None
    rows = [row for path in objects for row in _verify_file(path, platform, target, type_name, section, name)]
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        _print_table(rows)
    return int(any(row.verdict != ACCEPTED for row in rows))


def _verify_file(
    path: Path,
    platform: Platform | None,
    target: Btf | None,
    type_name: str | None,
    section: str | None,
    name: str | None,
) -> Iterator[Row]:
    spec = load_object_file(path, platform, target)
    untold = {missing.name for missing in spec.skipped if not missing.reason}
    tried = candidates(PLATFORMS[spec.platform], type_name)
    if untold and tried:
        spec = load_object_file(path, PLATFORMS[spec.platform], target, tried[0])
    chosen = [
        program
        for program in spec.programs.values()
        if section in (None, program.section) and name in (None, program.name)
    ]
    skipped = [s for s in spec.skipped if section in (None, s.section) and name in (None, s.name)]
    if not chosen and not skipped:
        known = ", ".join(f"{program.name} in {program.section}" for program in spec.programs.values())
        raise InputRefused("no such program", where=str(path), hint=f"it holds: {known or 'no program'}")
    for program in chosen:
        if program.name in untold:
            yield _verify_as_any(path, spec, program, tried)
        else:
            yield _verify_program(path, spec, program)
    for missing in skipped:
        reason = f"a program of this kind can't be judged: {missing.reason}" if missing.reason else NO_HOOK
        yield Row(str(path), missing.section, missing.name, "", 0, UNSUPPORTED, reason, "", 0.0)


def _verify_as_any(path: Path, spec: CollectionSpec, program: ProgramSpec, tried: Sequence[HookPoint]) -> Row:
    """The first verdict that accepts the program, as one of those kinds; or else the first of all."""
    rows = []
    for hook in tried:
        rows.append(_verify_program(path, spec, replace(program, hook=hook)))
        if rows[-1].verdict == ACCEPTED:
            break
    chosen = rows[-1] if rows[-1].verdict == ACCEPTED else rows[0]
    return replace(chosen, milliseconds=round(sum(row.milliseconds for row in rows), 3))


def _verify_program(path: Path, spec: CollectionSpec, program: ProgramSpec) -> Row:
    began = time.perf_counter()
    verdict, reason, line, report = ACCEPTED, "", "", None
    try:
        Verifier(spec.maps, PLATFORMS[spec.platform]).verify(program)
    except Rejected as rejected:
        verdict = UNSUPPORTED if isinstance(rejected, Unsupported) else REJECTED
        reason = str(rejected)
        line = str(rejected.report.source or "")
        report = _fields(rejected.report)
    milliseconds = round((time.perf_counter() - began) * 1000, 3)
    count = len(program.instructions)
    return Row(
        str(path), program.section, program.name, program.hook.name, count, verdict, reason, line, milliseconds, report
    )


def _fields(report: Report) -> dict[str, object]:
    """The report for `--json`. The whole way is left out: it may be millions of instructions long."""
    return {
        "demand": report.demand,
        "instruction": report.index,
        "slot": report.slot,
        "text": report.text,
        "source": asdict(report.source) if report.source is not None else None,
        "known": dict(report.known),
        "path": [asdict(step) for step in report.steps],
        "hint": report.hint,
        "kind": report.kind.value,
        "documentation": report.kind.page,
    }


def _print_table(rows: list[Row]) -> None:
    console = table_console()
    table = Table(box=None, pad_edge=False)
    for heading in ("file", "section", "program", "instructions", "verdict", "ms"):
        table.add_column(heading, justify="right" if heading in ("instructions", "ms") else "left")
    for row in rows:
        verdict = f"[{COLOURS[row.verdict]}]{row.verdict}[/]"
        table.add_row(
            escape(row.file), escape(row.section), escape(row.program), str(row.instructions), verdict,
            f"{row.milliseconds:.1f}",
        )  # fmt: skip
    console.print(table)
    for row in rows:
        if row.reason:
            print(f"\n{row.program}: {row.verdict}\n{row.reason}", file=sys.stdout)
