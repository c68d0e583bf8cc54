"""`tidegate test-run OBJ --data HEX`: one program on one context, verified and native, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.api import Object, TestRun, open_object
from appliance.cli.context_fields import read_field
from appliance.cli.dump import dump_maps, dump_variables, line, plain
from appliance.cli.output import json_option, print_json
from appliance.datapath.test_run import MOST_REPEATS
from appliance.ebpf.platform import PLATFORMS
from appliance.errors import InputRefused
from hooks.contracts.contract import HookPoint


@click.command()
@click.argument("path", metavar="OBJ", type=click.Path(path_type=Path))
@click.option("--program", "name", metavar="P", help="The program to run, if the object has several.")
@click.option(
    "--data",
    metavar="HEX|@FILE",
    default="",
    help="The frame from its Ethernet header on: hex digits, or the bytes of a file.",
)
@click.option("--app-id", metavar="PATH", help="For `bind`: the program that binds; UTF-16, as on Windows.")
@click.option(
    "--context",
    "fields",
    metavar="NAME=VALUE",
    multiple=True,
    help="A field of the context: a number as the program reads it, an IP address, or hex:BYTES.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, MOST_REPEATS),
    default=1,
    show_default=True,
    help="How often; time is the mean of all runs.",
)
@click.option("--maps", "with_maps", is_flag=True, help="Show what is in maps and variables afterwards.")
@click.option("--platform", "platform_name", type=click.Choice(sorted(PLATFORMS)), help="Recognised if not given.")
@json_option
def command(
    path: Path,
    name: str | None,
    data: str,
    app_id: str | None,
    fields: tuple[str, ...],
    repeat: int,
    with_maps: bool,
    platform_name: str | None,
    as_json: bool,
) -> None:
    """Run a program of an object once and print what comes of it.

    Of several runs each judges what the one before left, and the last one is told of.
    """
    if app_id is not None and data:
        raise click.UsageError("--app-id is another way to give --data")
    about = _bytes_of(data) if app_id is None else app_id.encode("utf-16-le")
    context = dict(map(read_field, fields))
    opened = open_object(path, platform=platform_name)
    name = _only(opened) if name is None else name
    for program in opened.programs.values():
        program.autoload = False
    opened.programs[name].autoload = True
    with opened.load() as loaded:
        run = loaded.programs[name].test_run(about, context=context, repeat=repeat)
        document = _document(name, run, repeat)
        if with_maps:
            document |= {"maps": dump_maps(loaded), "variables": dump_variables(loaded)}
    if as_json:
        print_json(document)
    else:
        _print_words(opened.spec.programs[name].hook, document, run)


def _only(opened: Object) -> str:
    """The program that is meant if none is named."""
    names = [*opened.programs]
    if len(names) == 1:
        return names[0]
    what = f"it holds {len(names)} programs" if names else "it holds no program"
    hint = f"say which: --program {' or '.join(names)}" if names else None
    raise InputRefused(what, where=opened.spec.source, hint=hint)


def _bytes_of(text: str) -> bytes:
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_bytes()
        except OSError as error:
            raise InputRefused(f"the file can't be read: {error.strerror}", where=f"--data {text}") from None
    try:
        return bytes.fromhex("".join(text.split()))
    except ValueError as error:
        raise InputRefused("not hex digits in pairs", where="--data", hint="write bytes as in `08 00 45 00`") from error


def _document(name: str, run: TestRun, repeat: int) -> dict[str, Any]:
    return {
        "program": name,
        "retval": run.retval,
        "verdict": run.verdict.value,
        "data_out": run.data_out.hex(),
        "context_out": plain(run.context_out),
        "nanoseconds": round(run.duration_ns, 3),
        "repeat": repeat,
        "trace": [line.decode("latin-1") for line in run.trace],
    }


def _changeable(hook: HookPoint, run: TestRun) -> dict[str, int | bytes]:
    """What programs of the hook may write: fields of the context, and what helpers leave beside them."""
    written = {field.name for field in hook.context.fields if field.writes} | set(hook.helper_outputs)
    return {name: value for name, value in run.context_out.items() if name in written}


def _print_words(hook: HookPoint, document: dict[str, Any], run: TestRun) -> None:
    repeat = document["repeat"]
    took = f"{repeat} runs, {run.duration_ns:.1f} ns each" if repeat > 1 else f"1 run, {run.duration_ns:.1f} ns"
    print(f"{document['program']}: {document['verdict']} ({run.retval}); {took}")
    if run.data_out:
        print(run.data_out.hex(" ", -4))
    for field, value in _changeable(hook, run).items():
        print(f"{field}: {value:#x}" if isinstance(value, int) else f"{field}: {value.hex(' ', -4) or 'nothing'}")
    for printed in run.trace:
        print("trace:", printed.decode("latin-1").rstrip())
    for name, entries in document.get("maps", {}).items():
        print(f"\nmap {name}" + ("" if entries else ": nothing"))
        for entry in entries:
            print("  " + ": ".join(map(line, entry.values())))
    for name, value in document.get("variables", {}).items():
        print(f"\nvariable {name}\n  {line(value)}")
