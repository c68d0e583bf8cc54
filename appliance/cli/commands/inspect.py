"""`tidegate inspect OBJ`: what a file holds, with the types and initial values that it gives; nothing is loaded.
Of an approved file: what was approved, by whom, and whether that holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from appliance.api import Object, open_object
from appliance.box.approval.container import MAGIC, ApprovedFile, is_approved_file
from appliance.box.config import load_box_config
from appliance.cli.approved import document_of, lines_of, trust_for
from appliance.cli.dump import line, plain
from appliance.cli.output import json_option, print_json
from appliance.cli.tables import table_console
from appliance.ebpf.platform import PLATFORMS
from appliance.ebpf.spec import MapSpec
from appliance.ebpf.values import definition, parts_of, type_name

LONGEST_VALUE = 60  # characters, in the table


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading, the field of the document, and whether numbers stand in it."""

    heading: str
    field: str
    right: bool = False


PROGRAMS = (
    Column("program", "name"),
    Column("section", "section"),
    Column("hook", "hook"),
    Column("instructions", "instructions", right=True),
    Column("functions", "functions"),
    Column("loaded", "autoload"),
)
MAPS = (
    Column("map", "name"),
    Column("type", "type"),
    Column("key", "key"),
    Column("value", "value"),
    Column("max_entries", "max_entries", right=True),
    Column("flags", "flags", right=True),
    Column("pinned", "pinned"),
)
VARIABLES = (
    Column("variable", "name"),
    Column("section", "section"),
    Column("type", "type"),
    Column("value", "value"),
)
FAULTS = (Column("can't be put together", "name"), Column("because", "fault"))
SKIPPED = (Column("skipped", "name"), Column("section, which no hook claims", "section"))


@click.command()
@click.argument("path", metavar="OBJ", type=click.Path(path_type=Path))
@click.option("--platform", "platform_name", type=click.Choice(sorted(PLATFORMS)), help="Recognised if not given.")
@click.option("--key", "keys", metavar="KEY.pub", multiple=True, type=click.Path(path_type=Path), help="Whom to trust.")
@click.option("--revoked", metavar="FILE", type=click.Path(path_type=Path), help="What is trusted no longer.")
@click.option("--config", metavar="CONFIG", type=click.Path(path_type=Path), help="Trust as this box's document says.")
@json_option
def command(
    path: Path,
    platform_name: str | None,
    keys: tuple[Path, ...],
    revoked: Path | None,
    config: Path | None,
    as_json: bool,
) -> int:
    """Show what an eBPF object holds, without loading it; or what an approval says, and all of it that does not hold.

    Exit status: 0; 1 the file is refused, or the approval does not hold here and now.
    """
    if _is_approved(path):
        trust = trust_for(keys, revoked, None if config is None else load_box_config(config).trust)
        approved = document_of(ApprovedFile.load(path), trust)
        if as_json:
            print_json(approved)
        else:
            print("\n".join(lines_of(approved)))
        return int(not approved["holds"])
    _show_object(open_object(path, platform=platform_name), as_json)
    return 0


def _is_approved(path: Path) -> bool:
    """Whether it begins as an approved file does; what can't be read is left to whoever reads objects."""
    try:
        with path.open("rb") as file:
            return is_approved_file(file.read(len(MAGIC)))
    except OSError:
        return False


def _show_object(opened: Object, as_json: bool) -> None:
    document = _document(opened)
    if as_json:
        print_json(document)
        return
    console = table_console()
    console.print(
        f"{escape(document['file'])}: {document['platform']}, license {escape(document['license'] or 'none')}"
    )
    faults = [program for program in document["programs"] if program["fault"]]
    for columns, rows in (
        (PROGRAMS, document["programs"]),
        (FAULTS, faults),
        (MAPS, document["maps"]),
        (VARIABLES, document["variables"]),
        (SKIPPED, document["skipped"]),
    ):
        if rows:
            console.print()
            console.print(_table(columns, rows))
    if document["types"]:
        print()
        print("\n".join(document["types"]))


def _document(opened: Object) -> dict[str, Any]:
    spec = opened.spec
    return {
        "file": spec.source,
        "platform": spec.platform,
        "license": next((program.license for program in spec.programs.values()), ""),
        "programs": [
            {
                "name": program.name,
                "section": program.section,
                "hook": program.hook.name,
                "instructions": len(program.instructions),
                "functions": list(program.functions.values()),
                "autoload": program.autoload,
                "fault": str(program.fault or ""),
            }
            for program in spec.programs.values()
        ],
        "maps": [_map(opened, map_) for map_ in spec.maps.values() if not map_.variables],
        "variables": list(_variables(opened)),
        "skipped": [{"name": skipped.name, "section": skipped.section} for skipped in spec.skipped],
        "types": _types(opened),
    }


def _map(opened: Object, map_: MapSpec) -> dict[str, Any]:
    return {
        "name": map_.name,
        "type": map_.type.value,
        "key": _type(opened, map_.key_type, map_.key_size),
        "key_size": map_.key_size,
        "value": _type(opened, map_.value_type, map_.value_size),
        "value_size": map_.value_size,
        "max_entries": map_.max_entries,
        "flags": map_.flags,
        "read_only": map_.read_only,
        "pinned": map_.pinned,
    }


def _type(opened: Object, number: int, size: int) -> str:
    """The name of a type; how many bytes, if it has none; nothing, if there is nothing."""
    if number and opened.spec.types is not None:
        return type_name(opened.spec.types, number)
    return f"{size} bytes" if size else ""


def _variables(opened: Object) -> Iterator[dict[str, Any]]:
    for section, map_ in opened.spec.maps.items():
        for variable in map_.variables:
            yield {
                "name": variable.name,
                "section": section,
                "type": _type(opened, variable.type, variable.size),
                "size": variable.size,
                "value": plain(opened.variables.value(variable.name)),
            }


def _types(opened: Object) -> list[str]:
    """What the structures, unions and enumerations of maps and variables are made of, each once."""
    btf, specs = opened.spec.types, opened.spec.maps.values()
    if btf is None:
        return []
    roots = [number for map_ in specs for number in (map_.key_type, map_.value_type)]
    roots += [variable.type for map_ in specs for variable in map_.variables]
    found = {part: definition(btf, part) for number in roots for part in parts_of(btf, number)}
    return [text for text in dict.fromkeys(found.values()) if text is not None]


def _table(columns: tuple[Column, ...], rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.heading, justify="right" if column.right else "left")
    for row in rows:
        table.add_row(*(escape(_cell(column, row[column.field])) for column in columns))
    return table


def _cell(column: Column, value: Any) -> str:
    if isinstance(value, bool) and column.field in ("autoload", "pinned"):
        return "yes" if value else "no"
    if column.field == "functions":
        return ", ".join(value)
    if column.field == "flags":
        return f"{value:#x}"
    text = value if isinstance(value, str) else line(value)
    if column.field == "fault":
        return text
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
