"""The table of docs/verifier-disagreements.md: the programs of which Linux's verifier and ours say different things."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parents[2] / "docs" / "verifier-disagreements.md"
_ROW = re.compile(r"\| `(?P<name>\w+)` \| (?P<side>good|bad) \| (?P<ours>\w+) \| (?P<linux>\w+) \| (?P<reason>.+) \|")


class Disagreement(NamedTuple):
    """One row; the verdicts are `accepted` and `rejected`."""

    ours: str
    linux: str
    reason: str


def disagreements() -> dict[tuple[str, str], Disagreement]:
    """By the name of the pair and `good` or `bad`."""
    rows = (match.groupdict() for match in _ROW.finditer(TABLE.read_text()))
    return {(row["name"], row["side"]): Disagreement(row["ours"], row["linux"], row["reason"]) for row in rows}


_ELSEWHERE = re.compile(r"\| `(?P<name>\w+)` \| (?P<flags>`-[^|]+) \| (?P<reason>[^|]+) \|\n")


def unproved(level: str, cpu: str) -> set[str]:
    """The good programs that the second table says are not proved, of what clang makes with these flags."""
    rows = (match.groupdict() for match in _ELSEWHERE.finditer(TABLE.read_text()))
    return {row["name"] for row in rows if {f"`{level}`", f"`-mcpu={cpu}`"} & set(row["flags"].split(", "))}
