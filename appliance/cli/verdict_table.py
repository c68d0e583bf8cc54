"""The table of verdicts, a row at a time: what is known before a proof begins decides how wide its columns are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from types import TracebackType

import click

from appliance.cli.verification import ACCEPTED, REJECTED, UNSUPPORTED, Row

COLOURS = {ACCEPTED: "green", REJECTED: "red", UNSUPPORTED: "yellow"}
HEADINGS = ("file", "section", "program", "type", "instructions", "verdict", "ms", "reason")
_TO_THE_RIGHT = ("instructions", "ms")
_VERDICT = HEADINGS.index("verdict")
_WIDEST_TIME = "99999.9"  # milliseconds
_CONTROLS = dict.fromkeys((*range(32), 127), "?")


class VerdictTable:
    """`planned` are the cells of every row as far as they are known, in the order of HEADINGS: those that are not are
    as wide as they may become. Standard output that is no terminal has no width: there, nothing is cut.
    For one thread."""

    def __init__(self, planned: Sequence[tuple[str, ...]]) -> None:
        rows = [HEADINGS[:-1], *planned]
        self._widths = [max(len(_clean(row[n])) for row in rows) for n in range(len(HEADINGS) - 1)]
        self._limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        self._print(HEADINGS, None)

    def add(self, row: Row) -> None:
        """One more row; it is seen at once."""
        reason = row.reason.partition("\n")[0]
        self._print((*cells(row)[:-1], f"{row.milliseconds:.1f}", reason), COLOURS[row.verdict])

    def _print(self, row: Sequence[str], colour: str | None) -> None:
        parts = []
        for heading, text, width in zip(HEADINGS, map(_clean, row), [*self._widths, 0], strict=True):
            parts.append(text.rjust(width) if heading in _TO_THE_RIGHT else text.ljust(width))
        room = self._limit - len("  ".join(parts[:-1])) - 2 if self._limit is not None else None
        if room is not None and len(parts[-1]) > room:
            parts[-1] = f"{parts[-1][: room - 1]}…" if room > 1 else ""
        if colour is not None and self._limit is not None:
            parts[_VERDICT] = click.style(parts[_VERDICT], fg=colour)
        print("  ".join(parts).rstrip(), flush=True)


def cells(row: Row) -> tuple[str, ...]:
    """A row's cells, all but the reason; the time is as wide as it may be."""
    return row.file, row.section, row.program, row.type, str(row.instructions), row.verdict, _WIDEST_TIME


def _clean(text: str) -> str:
    """A name may hold what would break a line."""
    return text.translate(_CONTROLS)


class Progress:
    """The line that says what is being verified, on a terminal's standard error; nowhere else. For one thread."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._shown = sys.stderr.isatty()
        self._there = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.clear()

    def show(self, name: str) -> None:
        """The next program is begun."""
        self._done += 1
        if self._shown:
            self._there = True
            columns = shutil.get_terminal_size().columns
            self._write(f"\r\x1b[K{f'{self._done} of {self._total}: {_clean(name)} …'[: columns - 1]}")

    def clear(self) -> None:
        """Nothing is left of the line."""
        if self._there:
            self._there = False
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)
