"""`tidegate check CONFIG`: everything that `run` does before it touches the machine."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.box.config import load_box_config
from appliance.box.generation import FilterSpec, Generation
from appliance.cli.output import counted


@click.command()
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path))
def command(path: Path) -> None:
    """Validate, compile and verify a box's configuration; change nothing."""
    config = load_box_config(path)
    generation = Generation.load(FilterSpec.of(config), config.workers)
    try:
        collection = generation.collection
        rules = f"{counted(len(config.rules.rules), 'rule')}, " if config.rules else ""
        size = sum(len(program.spec.instructions) for program in collection.programs.values())
        passages = "; ".join(map(str, config.passages))
        verified, compiled = (round(1000 * s) for s in (collection.verify_seconds, collection.compile_seconds))
        print(f"{path}: good. {passages}")
        print(f"  {rules}{size} instructions; verified in {verified} ms, compiled in {compiled} ms")
    finally:
        generation.close()
