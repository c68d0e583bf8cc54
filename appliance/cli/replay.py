"""`tidegate replay (RULES|CONFIG|OBJ) PCAP…`: what a program would have done to frames of the past."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from appliance.box.filter_files import read_filter
from appliance.box.generation import FilterSpec
from appliance.box.offline_replay import ENGINES
from appliance.cli.output import json_option, print_json, warn
from appliance.cli.tables import table_console
from appliance.datapath.capture import Capture
from appliance.datapath.replay import ReplayResult
from appliance.datapath.statistics import Count
from hooks.contracts.contract import Verdict

# The order of the columns and of `--json`.
ORDER = (Verdict.PASS, Verdict.DROP, Verdict.TX, Verdict.REDIRECT, Verdict.ABORTED)


@click.command()
@click.argument("source", metavar="(RULES|CONFIG|OBJ)", type=click.Path(path_type=Path))
@click.argument("captures", metavar="PCAP...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--engine", type=click.Choice(sorted(ENGINES)), default="jit", show_default=True)
@click.option("--program", help="The program of an object, if it holds several.")
@json_option
def command(source: Path, captures: tuple[Path, ...], engine: str, program: str | None, as_json: bool) -> None:
    """Send every frame of a capture through a program, without a network.

    Frames are judged as if they came from outside, on the capture's own clock; every capture begins with empty state.
    """
    filter_spec = read_filter(source, program)
    results = []
    with ENGINES[engine](filter_spec) as offline_replay:
        for path in captures:
            with Capture(path) as capture:
                results.append(offline_replay.replay(capture))
                if capture.defect:
                    warn(capture.defect)
                if capture.shortened:
                    warn(f"{path}: {capture.shortened} frames were recorded in part, and are judged as cut frames")
        rules = offline_replay.rule_counts()
    if as_json:
        print_json(_document(results, rules))
    else:
        _print_tables(filter_spec, results, rules)


def _totals(results: list[ReplayResult]) -> dict[Verdict, Count]:
    return {verdict: sum((r.verdicts[verdict] for r in results), Count()) for verdict in ORDER}


def _document(results: list[ReplayResult], rules: Any) -> dict[str, Any]:
    frames = sum((result.frames for result in results), Count())
    seconds = sum(result.seconds for result in results)
    return {
        "frames": frames.packets,
        "bytes": frames.bytes,
        "verdicts": {verdict.value: count.packets for verdict, count in _totals(results).items()},
        "rules": {id_: asdict(count) for id_, count in rules.items()},
        "seconds": seconds,
        "frames_per_second": round(frames.packets / seconds) if seconds else 0,
    }


def _print_tables(filter_spec: FilterSpec, results: list[ReplayResult], rules: Any) -> None:
    console = table_console()
    frames = sum((result.frames for result in results), Count())
    seconds = sum(result.seconds for result in results)
    rate = f", {frames.packets / seconds / 1e6:.2f} million a second" if seconds else ""
    console.print(f"{frames.packets} frames, {frames.bytes} bytes{rate}")
    verdicts = Table("verdict", "frames", "bytes", box=None, pad_edge=False)
    for verdict, count in _totals(results).items():
        if count.packets:
            verdicts.add_row(verdict.value, str(count.packets), str(count.bytes))
    console.print(verdicts)
    hits = {id_: count for id_, count in rules.items() if count.packets}
    if filter_spec.rules is None:
        return
    if not hits:
        console.print("no rule counted a frame")
        return
    table = Table("rule", "frames", "bytes", box=None, pad_edge=False)
    for id_, count in hits.items():
        table.add_row(escape(id_), str(count.packets), str(count.bytes))
    console.print(table)
