"""Which rules lie in tables, and in what order everything is asked. First match wins, as in a walk through the list.

Whether a rule of a table matches depends on the frame alone. So all of them are asked at once, before any code:

    rule 1 … 60      in boxes                  tables:  the first of 1 … 60, 64 … 900 that matches decides, if nothing
    rule 61          has a rate                         before it does
    rule 62, 63      asks for a TTL            checkpoint:  is it one before 61?  code: 61, 62, 63
    rule 64 … 900    in boxes                  checkpoint:  is it one at all?

Monitored rules have tables of their own: the first of them that matches counts where it stands, if no other did before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.rules.classifier.boxes import Box, boxes
from appliance.rules.classifier.layout import FAMILIES, Family, Table, rule_number
from appliance.rules.model import Action, Mode, Rule

FEWEST = 24  # rules in boxes, below which they stay code; a guess, not measured yet

_Boxes = dict[Family, list[Box]]
_Boxed = dict[int, tuple[Rule, _Boxes]]  # by the rule's index


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a rule that tables found decides or counts, if its index is below `before`."""

    before: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The tables, one for each family in which one of their rules can match, and then the rules that are code, with
    checkpoints between them. Without tables, all of them are code."""

    deciding: tuple[Table, ...]
    monitored: tuple[Table, ...]
    steps: tuple[Rule | Checkpoint, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those that are code."""
        return tuple(step for step in self.steps if isinstance(step, Rule))


def without_tables(rules: Sequence[Rule]) -> Plan:
    return Plan((), (), tuple(rules))


def plan(rules: Sequence[Rule], verdicts: Mapping[Action, int]) -> Plan:
    """A plan for the rules of one direction, in order. `verdicts` is what the program answers for an action; rules
    of others stay code."""
    boxed = {
        rule.index: (rule, found)
        for rule in rules
        if rule.action in verdicts and (found := _boxes_of(rule)) is not None
    }
    while len(boxed) >= FEWEST:
        tables: dict[Mode, tuple[Table, ...]] = {}
        left_out: set[int] = set()
        for mode in Mode:
            tables[mode], crowded = _tables([each for each in boxed.values() if each[0].mode is mode], verdicts)
            left_out |= crowded
        if not left_out:
            return Plan(tables[Mode.ENFORCE], tables[Mode.MONITOR], _steps(rules, boxed))
        boxed = {index: entry for index, entry in boxed.items() if index not in left_out}
    return without_tables(rules)


def _boxes_of(rule: Rule) -> _Boxes | None:
    if rule.rate or rule.retransmit:
        return None
    return boxes(rule, FAMILIES)


def _tables(
    members: Sequence[tuple[Rule, _Boxes]], verdicts: Mapping[Action, int]
) -> tuple[tuple[Table, ...], set[int]]:
    """A table for each family, and the indices of rules that one of them has no room for. Here numpy is imported: most
    rule sets have no table, and a box that starts needn't wait for it."""
    from appliance.rules.classifier.table import build_table  # noqa: PLC0415

    tables, left_out = [], set()
    for family in FAMILIES:
        found = [(box, rule) for rule, each in members for box in each[family]]
        if not found:
            continue
        numbers = [rule_number(rule.index, verdicts[rule.action]) for _, rule in found]
        table, crowded = build_table(family, [box for box, _ in found], numbers)
        tables.append(table)
        left_out |= {found[place][1].index for place in crowded}
    return tuple(tables), left_out


def _steps(rules: Sequence[Rule], boxed: _Boxed) -> tuple[Rule | Checkpoint, ...]:
    """Code, with a checkpoint behind every run of rules that lie in tables."""
    steps: list[Rule | Checkpoint] = []
    is_open = False
    for rule in rules:
        if rule.index in boxed:
            is_open = True
            continue
        if is_open:
            steps.append(Checkpoint(rule.index))
        steps.append(rule)
        is_open = False
    if is_open:
        steps.append(Checkpoint(rules[-1].index + 1))
    return tuple(steps)
