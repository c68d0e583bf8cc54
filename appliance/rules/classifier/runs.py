"""Rules in runs: what lies in a table, and what stays code. First match wins through all of them, in order.

rule 1 … 60      all in boxes            ── a table
rule 61          has a rate              ── code
rule 62, 63      boxes, but few          ── code, together with 61
rule 64 … 900    all in boxes            ── a table
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from appliance.rules.classifier.boxes import Box, boxes
from appliance.rules.classifier.layout import FAMILIES, Family, Table, TooCrowded, rule_number
from appliance.rules.model import Action, Mode, Rule

FEWEST = 24  # rules; of fewer, code takes as long or less

_Boxes = dict[Family, list[Box]]


@dataclass(frozen=True, slots=True)
class TableRun:
    """Neighbouring rules as tables, one for each family in which one of them can match: of those that decide, and of
    those that are monitored, the first of which counts if it stands before what decides."""

    deciding: tuple[Table, ...]
    monitored: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class CodeRun:
    """Neighbouring rules that stay code."""

    rules: tuple[Rule, ...]


Run = TableRun | CodeRun


def split(rules: Sequence[Rule], verdicts: dict[Action, int]) -> list[Run]:
    """The rules of one direction, in order, as runs. `verdicts` is what the program answers for an action."""
    runs: list[Run] = []
    boxed = [(rule, _boxes_of(rule)) for rule in rules]
    for is_boxed, group in groupby(boxed, key=lambda entry: entry[1] is not None):
        members = list(group)
        if is_boxed:
            runs += _tables([(rule, found) for rule, found in members if found is not None], verdicts)
        else:
            runs.append(CodeRun(tuple(rule for rule, _ in members)))
    return _joined(runs)


def _boxes_of(rule: Rule) -> _Boxes | None:
    if rule.action is Action.COUNT or rule.rate or rule.retransmit:
        return None
    return boxes(rule, FAMILIES)


def _tables(members: list[tuple[Rule, _Boxes]], verdicts: dict[Action, int]) -> list[Run]:
    """One table; or two, of halves, if the rules lie upon each other too much for one; code if there are too few."""
    if len(members) < FEWEST:
        return [CodeRun(tuple(rule for rule, _ in members))]
    by_mode = {mode: [entry for entry in members if entry[0].mode is mode] for mode in Mode}
    try:
        return [
            TableRun(
                deciding=_by_family(by_mode[Mode.ENFORCE], verdicts),
                monitored=_by_family(by_mode[Mode.MONITOR], verdicts),
            )
        ]
    except TooCrowded:
        middle = len(members) // 2
        return [*_tables(members[:middle], verdicts), *_tables(members[middle:], verdicts)]


def _by_family(members: list[tuple[Rule, _Boxes]], verdicts: dict[Action, int]) -> tuple[Table, ...]:
    """Here numpy is imported: most rule sets have no table, and a box that starts needn't wait for it."""
    from appliance.rules.classifier.table import build_table  # noqa: PLC0415

    tables = []
    for family in FAMILIES:
        found = [(box, rule) for rule, each in members for box in each[family]]
        if found:
            numbers = [rule_number(rule.index, verdicts[rule.action]) for _, rule in found]
            tables.append(build_table(family, [box for box, _ in found], numbers))
    return tuple(tables)


def _joined(runs: Iterable[Run]) -> list[Run]:
    """Code next to code becomes one run."""
    joined: list[Run] = []
    for run in runs:
        last = joined[-1] if joined else None
        if isinstance(run, CodeRun) and isinstance(last, CodeRun):
            joined[-1] = CodeRun(last.rules + run.rules)
        else:
            joined.append(run)
    return joined
