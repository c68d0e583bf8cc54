"""Every figure, measured: `python -m tests.bench [NAME…] [--seconds N] [--json FILE]`.

Figures are ratios in one run: Tidegate and its peer are measured in turns, and what is compared are medians. Nothing
here fails because a machine is slow; the table says what was met and what was missed. A benchmark that fails costs the
figures that it had still to measure, and no other's; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Bench, Compared, Figure
from tests.bench.measuring import build_tools
from tests.bench.registry import BENCHMARKS


def main(words: Sequence[str]) -> int:
    """Measure what the words ask for; the exit status."""
    options = _parse(words)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    progress = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        os.environ["STATE_DIRECTORY"] = f"{folder}/state"  # of the boxes: what they remember is of this run
        build_tools(Path(folder))
        bench = Bench(Path(folder), Path(folder), options.seconds, options.only)
        figures, failures = measure(options.names or list(BENCHMARKS), bench, progress)
    console.print(_table(figures))
    for name, error in failures.items():
        console.print(f"{name}: failed: {error}", markup=False)
    if options.json:
        document = _document(figures, failures)
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return 1 if failures else 0


def measure(names: Sequence[str], bench: Bench, progress: Console) -> tuple[list[Figure], dict[str, str]]:
    """The figures of the benchmarks that were asked for, and by its name what each that failed failed with."""
    figures: list[Figure] = []
    failures: dict[str, str] = {}
    for name in names:
        began = time.monotonic()
        try:
            with progress.status(f"measuring {name} …"):
                for figure in BENCHMARKS[name](bench):
                    figures.append(figure)  # one by one: what was measured before an error stays
        except Exception as error:
            failures[name] = f"{type(error).__name__}: {error}"
            progress.print(traceback.format_exc(), markup=False)
        else:
            progress.print(f"{name}: measured in {time.monotonic() - began:.0f} s")
    return figures, failures


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Tidegate against its peers.")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"what to measure: {', '.join(BENCHMARKS)}")
    parser.add_argument("--seconds", type=float, help="length of each measured window (each benchmark has its own)")
    parser.add_argument(
        "--only", metavar="WHAT", nargs="+", default=[], help="of `halfway` and `limit`, only these attacks, or boxes"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and their samples to a file")
    options = parser.parse_args(words)
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}")
    if os.geteuid() != 0:
        parser.error("network namespaces need root")
    return options


def _document(figures: Sequence[Figure], failures: Mapping[str, str]) -> dict[str, object]:
    machine = {"kernel": platform.release(), "machine": platform.machine(), "processors": os.cpu_count()}
    return {"machine": machine, "figures": [figure.document() for figure in figures], "failed": failures}


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
            "–" if figure.value is None else f"{_number(figure.value)} {figure.unit}",
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
    sys.exit(main(sys.argv[1:]))
