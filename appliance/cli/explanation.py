"""What `tidegate check --explain` tells: of each frame the rule that decides it, and why each one before it didn't."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.box.decisions import connection_states
from appliance.box.dissection import Dissection
from appliance.cli.output import print_json, warn
from appliance.datapath.captures import Capture, tell_directions
from appliance.errors import InputRefused
from appliance.rules import RuleSet
from appliance.rules.model import ALLOWLIST, MALFORMED, POLICY, Direction
from appliance.rules.parsed import STATE_FIELD
from appliance.rules.values import Addresses
from appliance.rules.walk import Dissected, Judgement, Step, Walk
from appliance.rules.walk.conditions import matchers_of
from appliance.rules.walk.words import SENDERS, address, reason

WAYS = (Direction.IN, Direction.OUT)  # by the program of a record: inward, outward


@dataclass(frozen=True, slots=True)
class Explained:
    """One frame: its number in the capture, from 1 on, what was read of it, and what becomes of it."""

    number: int
    way: Direction
    frame: Dissected
    judgement: Judgement
    deciders: dict[str, str]  # id of what counts → the rule in words

    @property
    def decided(self) -> str:
        """Who decides, in words."""
        by, frame = self.judgement.by, self.frame
        if by == ALLOWLIST:
            side, name = ("source", "ip.src") if self.way is Direction.IN else ("destination", "ip.dst")
            return f"on the allowlist ({name} {address(frame['version'], frame.address(side))})"
        if by == MALFORMED:
            return f"malformed ({frame.malformed})"
        if by == POLICY:
            return "by the policy"
        if by is None:
            return f"nothing judges what comes from {SENDERS[self.way]}"
        return self.deciders[by]


def explain(rules: RuleSet, what: str, inside: Addresses, numbers: Sequence[int], *, as_json: bool) -> None:
    """Tell of a frame in hex, or of a capture's frames; of those `numbers`, or of all if there are none."""
    with _capture_of(what) as capture:
        for remark in capture.remarks:
            warn(remark)
        for number in numbers:
            if not 1 <= number <= len(capture):
                raise InputRefused(f"there is no frame {number}", where=what, hint=f"it has 1 to {len(capture)}")
        tell_directions(capture, inside)
        frames = _explained(rules, capture, frozenset(numbers))
        if as_json:
            print_json({"frames": [_document(frame) for frame in frames]})
        else:
            for frame in frames:
                _print(frame)


def _capture_of(what: str) -> Capture:
    path, digits = Path(what), "".join(what.split())
    if digits and path.exists():
        return Capture(path)
    try:
        return Capture.of([bytes.fromhex(digits or "-")], "frame")
    except ValueError:
        if path.suffix or "/" in what:
            return Capture(path)
    hint = "give the bytes from the Ethernet header on, two digits each, or a capture"
    raise InputRefused("neither a frame in hex nor a file", where=what or None, hint=hint)


def _explained(rules: RuleSet, capture: Capture, numbers: frozenset[int]) -> Iterator[Explained]:
    """The walk sees every frame, for what it remembers. Connections it knows by what the compiled rules say of them."""
    walk, deciders = Walk(rules), _deciders(rules)
    states = connection_states(rules, capture)
    with Dissection(rules.rules, rules.tunnels) as dissection:
        found = zip(capture.records(), dissection.frames(capture), states, strict=True)
        for number, (record, dissected, state) in enumerate(found, 1):
            frame = dissected.with_fields({STATE_FIELD: state})
            way = WAYS[record.program]
            judgement = walk.judge(frame, way, record.time_ns)
            if not numbers or number in numbers:
                yield Explained(number, way, frame, judgement, deciders)


def _deciders(rules: RuleSet) -> dict[str, str]:
    by = {rule.id: f"by rule {rule.id!r} ({rule.where})" for rule in rules.rules}
    blocked = {rule.blocked_id: f"blocked by rule {rule.id!r} ({rule.where})" for rule in rules.rules if rule.block}
    return by | blocked


def _print(explained: Explained) -> None:
    frame, judgement = explained.frame, explained.judgement
    origin = f"{frame['length']} bytes from {SENDERS[explained.way]}"
    print(f"frame {explained.number}: {origin}: {judgement.verdict.value}, {explained.decided}")
    for step in judgement.steps:
        print(f"  {step.rule.where} {step.rule.id}: {reason(step, frame)}")


def _document(explained: Explained) -> dict[str, Any]:
    frame, judgement = explained.frame, explained.judgement
    return {
        "frame": explained.number,
        "bytes": frame["length"],
        "direction": explained.way.value,
        "verdict": judgement.verdict.value,
        "by": judgement.by,
        "malformed": frame.malformed,
        "reason": explained.decided,
        "counted": list(judgement.counted),
        "rules": [_step(step, frame) for step in judgement.steps],
    }


def _step(step: Step, frame: Dissected) -> dict[str, Any]:
    where = step.rule.where
    return {
        "rule": step.rule.id,
        "file": where.file,
        "line": where.line,
        "column": where.column,
        "outcome": step.outcome.value,
        "field": _field(step),
        "reason": reason(step, frame),
    }


def _field(step: Step) -> str | None:
    """What the condition that doesn't hold speaks of."""
    if step.condition is None:
        return None
    return " . ".join(matcher.name for matcher in matchers_of(step.condition))
