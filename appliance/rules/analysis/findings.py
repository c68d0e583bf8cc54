"""Rules that decide nothing: what they match is decided before, or can't be.

A rule decides alone for all its frames if it passes or drops, is enforced, and has no rate and no test. What such a
rule holds completely never reaches a later one. In monitor mode the first rule that would have decided is the one that
is counted, so monitored rules stand in the way of monitored ones, too.

    contradictory    its own conditions exclude each other
    shadowed         one earlier rule decides all of its frames, otherwise
    redundant        one earlier rule decides all of its frames, and alike
    unreachable      the allowlist, a rule for all frames, or several rules together decide all of its frames

What is found is so: sets of values are compared exactly (`boxes`), and what isn't a set is taken for satisfied by
itself alone. A rule may be out of reach and not be found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from appliance.rules.actions import ends
from appliance.rules.analysis.boxes import (
    VERSION,
    Box,
    Dimension,
    box_of,
    excluded,
    known_of,
    universe,
)
from appliance.rules.analysis.cover import Boxes, Holders, bits
from appliance.rules.conditions import InRanges
from appliance.rules.model import Direction, Mode, Rule, RuleSet
from appliance.rules.ranges import Ranges

MOST_SECONDS = 1.0
MOST_TOGETHER = 32  # rules that are looked at as one
_ALLOWLIST = -1


class FindingKind(Enum):
    """What is wrong with a rule."""

    CONTRADICTORY = "contradictory"
    SHADOWED = "shadowed"
    REDUNDANT = "redundant"
    UNREACHABLE = "unreachable"
    FORGEABLE = "forgeable"  # forgery.py
    BLIND = "blind"  # blind.py


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one rule. Of one that decides nothing, `by` are the rules that decide before it, none if the
    allowlist does or its own conditions exclude each other; `reason` says it in words."""

    kind: FindingKind
    rule: Rule
    by: tuple[Rule, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.rule.where}: rule {self.rule.id!r} is {self.kind.value}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found, in the order of the rules. `examined` is fewer than the rules if time ran out."""

    findings: tuple[Finding, ...]
    examined: int
    rules: int

    @property
    def is_complete(self) -> bool:
        return self.examined == self.rules


class _TimeIsUp(Exception):
    pass


def find_unreached(
    rules: RuleSet, *, most_seconds: float = MOST_SECONDS, clock: Callable[[], float] = time.monotonic
) -> Analysis:
    """Every rule that can be seen to decide nothing, within that time."""
    end = clock() + most_seconds

    def alive() -> None:
        if clock() > end:
            raise _TimeIsUp

    findings: list[Finding] = []
    examined = 0
    try:
        search = _Search(rules, alive)
        for rule in rules.rules:
            alive()
            found = search.look_at(rule)
            if found is not None:
                findings.append(found)
            examined += 1
    except _TimeIsUp:
        pass
    return Analysis(tuple(findings), examined, len(rules.rules))


class _Search:
    """The boxes of all rules, and the tables of those that decide. For one thread."""

    def __init__(self, rules: RuleSet, alive: Callable[[], None]) -> None:
        self.rules = rules.rules
        asked: list[Box] = []
        for rule in self.rules:
            alive()
            asked.append(box_of(rule.conditions))
        self.asked = asked
        self.known = [known_of(box) for box in asked]
        deciding = {rule.index: asked[rule.index] for rule in self.rules if _decides(rule)}
        self.holders = Holders.of(deciding, self.known, alive)
        self.enforced = sum(1 << index for index in deciding if self.rules[index].mode is Mode.ENFORCE)
        self.covering = {
            direction: sum(1 << index for index in deciding if _covers(self.rules[index].direction, direction))
            for direction in Direction
        }
        self.dimensions = tuple(self.holders.holding)
        self.allowlist = {way: Holders.of({0: box}, self.known, alive) for way, box in _allowlist(rules).items()}

    def look_at(self, rule: Rule) -> Finding | None:
        known = self.known[rule.index]
        contradiction = self._contradiction(rule, known)
        if contradiction is not None or known.empty_dimension():
            return contradiction
        if self._is_allowed(rule, known):
            return Finding(FindingKind.UNREACHABLE, rule, (), "every frame that it matches is on the allowlist")
        before = self._before(rule) & self.holders.by_others(known)
        if not before:
            return None
        along = [self.holders.along(dimension, known) for dimension in self.dimensions]
        holding = before
        for boxes in along:
            holding &= boxes
        if holding:
            return self._held(rule, self.rules[next(bits(holding))])
        return self._together(rule, known, along, before)

    def _is_allowed(self, rule: Rule, known: Box) -> bool:
        """Whether the allowlist has every frame of a rule, whichever way it goes."""
        return bool(self.allowlist) and all(
            tables.along(dimension, known)
            for way, tables in self.allowlist.items()
            if rule.direction.covers(way)
            for dimension in tables.holding
        )

    def _contradiction(self, rule: Rule, known: Box) -> Finding | None:
        """None if a single condition takes no value: a list may be empty today, and that is no mistake."""
        empty = known.empty_dimension()
        names: list[str] = []
        if empty is not None and self._is_of_several(rule, empty):
            names = list(dict.fromkeys(known.asked[empty]))
        for condition in known.others if empty is None else ():
            if isinstance(condition, InRanges) and condition.ranges and excluded(condition, known):
                askers = (known.asked.get((name, 0), []) for name in condition.matcher.fields)
                names = list(dict.fromkeys((condition.matcher.name, *(name for each in askers for name in each))))
        if not names:
            return None
        reason = f"no frame satisfies {' and '.join(names)} at once"
        return Finding(FindingKind.CONTRADICTORY, rule, (), reason)

    def _is_of_several(self, rule: Rule, empty: Dimension) -> bool:
        """Whether each condition alone leaves something."""
        return all(known_of(box_of((condition,))).empty_dimension() is None for condition in rule.conditions)

    def _before(self, rule: Rule) -> Boxes:
        """The rules that stand in the way of a rule's frames, whatever they match."""
        before = self.covering[rule.direction] & (1 << rule.index) - 1
        return before if rule.mode is Mode.MONITOR else before & self.enforced

    def _held(self, rule: Rule, holder: Rule) -> Finding:
        place = f"{holder.id!r} ({holder.where})"
        if not holder.conditions:
            kind, reason = FindingKind.UNREACHABLE, f"rule {place} decides every frame that comes so far"
        elif rule.effects == holder.effects:
            kind, reason = FindingKind.REDUNDANT, f"rule {place} matches all that it matches, and decides alike"
        else:
            kind = FindingKind.SHADOWED
            reason = f"rule {place} matches all that it matches, and decides otherwise"
        return Finding(kind, rule, (holder,), f"{reason}: {holder.action.value}")

    def _together(self, rule: Rule, known: Box, along: list[Boxes], before: Boxes) -> Finding | None:
        """Several rules that differ in one field's values, which together are all that this one takes."""
        behind = [before]  # at a place: what the fields from there on leave
        for boxes in reversed(along):
            behind.append(behind[-1] & boxes)
        behind.reverse()
        front = before
        for place, dimension in enumerate(self.dimensions):
            candidates = front & behind[place + 1]
            front &= along[place]
            if not candidates & (candidates - 1):  # one alone would have been found
                continue
            wanted = known.sets.get(dimension, universe(dimension))
            by = self._jointly(candidates, dimension, wanted)
            if by:
                listed = ", ".join(f"{other.id!r} ({other.where})" for other in by)
                reason = f"together, these rules match all that it matches: {listed}"
                return Finding(FindingKind.UNREACHABLE, rule, by, reason)
        return None

    def _jointly(self, candidates: Boxes, dimension: Dimension, wanted: Ranges) -> tuple[Rule, ...]:
        """The first of the candidates whose sets are, together, all that is wanted."""
        left, taken = wanted, list[Rule]()
        for count, number in enumerate(bits(candidates)):
            ranges = self.asked[number].sets.get(dimension)
            if count == MOST_TOGETHER or ranges is None:
                break
            if not ranges:
                continue
            if ranges[-1][1] < left[0][0] or ranges[0][0] > left[-1][1]:
                continue
            rest = _without(left, ranges)
            if rest != left:
                taken.append(self.rules[number])
            if not rest:
                return tuple(taken)
            left = rest
        return ()


def _without(ranges: Ranges, covered: Ranges) -> Ranges:
    """What of the ranges isn't covered."""
    rest: list[tuple[int, int]] = []
    for low, high in ranges:
        for first, last in covered:
            if last < low or first > high:
                continue
            if first > low:
                rest.append((low, first - 1))
            low = last + 1
        if low <= high:
            rest.append((low, high))
    return tuple(rest)


def _decides(rule: Rule) -> bool:
    return ends(rule.action) and not (rule.rate or rule.retransmit or rule.syn_cookies or rule.challenge)


def _covers(holder: Direction, held: Direction) -> bool:
    return holder in (held, Direction.BOTH)


def _allowlist(rules: RuleSet) -> dict[Direction, Box]:
    """What is on the allowlist, by the address of the far side; nothing of it if the list is empty."""
    allowed, boxes = rules.allowlist, dict[Direction, Box]()
    if not allowed:
        return boxes
    for way, side in ((Direction.IN, "source"), (Direction.OUT, "destination")):
        box = Box()
        box.narrow(VERSION, tuple((f, f) for f, ranges in ((4, allowed.v4), (6, allowed.v6)) if ranges), "allowlist")
        for family, ranges in ((4, allowed.v4), (6, allowed.v6)):
            if ranges:
                box.narrow((side, family), ranges, "allowlist")
        boxes[way] = box
    return boxes
