"""Every figure, measured: `python -m tests.bench [NAME…] [--seconds N] [--json FILE]`.

Figures are ratios in one run: Tidegate and its peer are measured in turns, and what is compared are medians. Nothing
here fails because a machine is slow; the table says what was met and what was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Bench, Compared, Figure
from tests.bench.measuring import build_tools
from tests.bench.registry import BENCHMARKS


def main(words: Sequence[str]) -> None:
    options = _parse(words)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    progress = Console(stderr=True, highlight=False)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        build_tools(Path(folder))
        bench = Bench(Path(folder), Path(folder), options.seconds)
        for name in options.names or BENCHMARKS:
            began = time.monotonic()
            with progress.status(f"measuring {name} …"):
                figures += BENCHMARKS[name](bench)
            progress.print(f"{name}: measured in {time.monotonic() - began:.0f} s")
    console.print(_table(figures))
    if options.json:
        options.json.write_text(json.dumps(_document(figures), indent=1, ensure_ascii=False) + "\n")


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Tidegate against its peers.")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"what to measure: {', '.join(BENCHMARKS)}")
    parser.add_argument("--seconds", type=float, help="length of each measured window (each benchmark has its own)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and their samples to a file")
    options = parser.parse_args(words)
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}")
    if os.geteuid() != 0:
        parser.error("network namespaces need root")
    return options


def _document(figures: Sequence[Figure]) -> dict[str, object]:
    machine = {"kernel": platform.release(), "machine": platform.machine(), "processors": os.cpu_count()}
    return {"machine": machine, "figures": [figure.document() for figure in figures]}


def _table(figures: Sequence[Figure]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("what", "figure", "peer", "ratio", "target", ""):
        table.add_column(heading, justify="left" if heading in ("what", "target", "") else "right")
    table.add_column("remark", overflow="fold")
    verdicts = {None: "", True: "[green]met[/]", False: "[red bold]missed[/]"}
    for figure in figures:
        peer = "" if figure.peer_value is None else f"{figure.peer} {_number(figure.peer_value)}"
        table.add_row(
            figure.name,
            f"{_number(figure.value)} {figure.unit}",
            peer,
            _compared(figure),
            _target(figure),
            verdicts[figure.met],
            figure.remark,
        )
    return table


def _compared(figure: Figure) -> str:
    if figure.difference is None or figure.ratio is None:
        return ""
    return f"{figure.difference:+.1f} {figure.unit}" if figure.unit == "µs" else f"{figure.ratio:.3f}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    bounds = ((">=", figure.target.at_least), ("<=", figure.target.at_most))
    text = " ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
    return text if figure.target.compared is Compared.RATIO else f"{text} {figure.unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


if __name__ == "__main__":
    main(sys.argv[1:])
