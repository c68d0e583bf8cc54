"""`tidegate test-run OBJ --program P --data HEX`: one program on one frame, verified and native, without a network."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.api import TestRun, open_object
from appliance.cli.output import json_option, print_json
from appliance.datapath.trial import MOST_REPEATS
from appliance.ebpf.platform import PLATFORMS
from appliance.errors import InputRefused


@click.command()
@click.argument("path", metavar="OBJ", type=click.Path(path_type=Path))
@click.option("--program", "name", metavar="P", required=True, help="The program to run.")
@click.option("--data", "data_hex", metavar="HEX", required=True, help="The frame from its Ethernet header on.")
@click.option(
    "--repeat",
    type=click.IntRange(1, MOST_REPEATS),
    default=1,
    show_default=True,
    help="How often; time is the mean of all runs.",
)
@click.option("--platform", "platform_name", type=click.Choice(sorted(PLATFORMS)), help="Recognised if not given.")
@json_option
def command(path: Path, name: str, data_hex: str, repeat: int, platform_name: str | None, as_json: bool) -> None:
    """Run a program of an object on one frame and print what comes of it.

    Of several runs each judges the frame as the one before left it, and the last one is told of.
    """
    data = _bytes_of(data_hex)
    opened = open_object(path, platform=platform_name)
    for program in opened.programs.values():
        program.autoload = False
    opened.programs[name].autoload = True
    with opened.load() as loaded:
        run = loaded.programs[name].test_run(data, repeat=repeat)
    if as_json:
        print_json(_document(name, run, repeat))
    else:
        _print_words(name, run, repeat)


def _bytes_of(text: str) -> bytes:
    try:
        return bytes.fromhex("".join(text.split()))
    except ValueError as error:
        raise InputRefused("not hex digits in pairs", where="--data", hint="write bytes as in `08 00 45 00`") from error


def _document(name: str, run: TestRun, repeat: int) -> dict[str, object]:
    return {
        "program": name,
        "retval": run.retval,
        "verdict": run.verdict.value,
        "data_out": run.data_out.hex(),
        "nanoseconds": round(run.duration_ns, 3),
        "repeat": repeat,
    }


def _print_words(name: str, run: TestRun, repeat: int) -> None:
    took = f"{repeat} runs, {run.duration_ns:.1f} ns each" if repeat > 1 else f"1 run, {run.duration_ns:.1f} ns"
    print(f"{name}: {run.verdict.value} ({run.retval}); {took}")
    print(run.data_out.hex(" ", -4))
