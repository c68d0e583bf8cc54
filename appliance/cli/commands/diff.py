"""`tidegate diff OLD NEW PCAP…`: the frames of the past that another rule set would have treated otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from appliance.box.decisions import Decision, DecisionReplay
from appliance.cli.inside import inside_option, read_networks
from appliance.cli.output import counted, json_option, print_json, warn
from appliance.datapath.captures import Capture, tell_directions
from appliance.datapath.statistics import Count
from appliance.rules.model import POLICY, VERDICT_COUNTERS
from appliance.rules.values import Addresses

MOST_LISTED = 20  # frames of a group and a capture, in words; `--json` has all
EXAMPLES = """Examples:

\b
  tidegate diff rules.yaml new.yaml monday.pcap tuesday.pcap.gz
  tidegate diff box.yaml new/box.yaml line.pcapng --inside 192.0.2.0/24
  tidegate diff rules.yaml new.yaml line.pcap --json | jq '.groups[] | [.from.by, .to.by, .frames]'
"""

Pair = tuple[Decision, Decision]


@dataclass(slots=True)
class Group:
    """The changed frames that the same rules decide, before and after: by capture, their numbers, from 1 on.
    For one thread."""

    count: Count = field(default_factory=Count)
    frames: dict[str, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Differences:
    """What all captures showed. For one thread."""

    seen: Count = field(default_factory=Count)
    groups: dict[Pair, Group] = field(default_factory=dict)

    def add(self, capture: Capture, old: Iterable[Decision], new: Iterable[Decision]) -> None:
        """One more capture, with what became of its frames."""
        for number, (record, before, after) in enumerate(zip(capture.records(), old, new, strict=True), 1):
            size = Count(1, record.length)
            self.seen += size
            if before.verdict is not after.verdict:
                group = self.groups.setdefault((before, after), Group())
                group.count += size
                group.frames.setdefault(str(capture.path), []).append(number)

    @property
    def largest_first(self) -> list[tuple[Pair, Group]]:
        return sorted(self.groups.items(), key=lambda item: -item[1].count.packets)

    @property
    def changed(self) -> Count:
        return sum((group.count for group in self.groups.values()), Count())


@click.command(epilog=EXAMPLES)
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.argument("captures", metavar="PCAP...", nargs=-1, required=True, type=click.Path(path_type=Path))
@inside_option
@json_option
def command(old: Path, new: Path, captures: tuple[Path, ...], inside: tuple[str, ...], as_json: bool) -> None:
    """List the frames whose verdict changes from OLD to NEW, grouped by the rules that decide them.

    OLD and NEW are rule sets, boxes or objects. Frames are judged as in a replay: on the capture's own clock, with
    empty state when a capture begins, and as if they came from outside, unless `--inside` says what is inside.
    """
    differences = _compare(old, new, captures, read_networks(inside), two_ways=bool(inside))
    if as_json:
        print_json(_document(differences))
    else:
        _print(differences)


def _compare(old: Path, new: Path, captures: Iterable[Path], networks: Addresses, *, two_ways: bool) -> Differences:
    differences = Differences()
    with (
        DecisionReplay.of_file(old, two_ways=two_ways) as before,
        DecisionReplay.of_file(new, two_ways=two_ways) as after,
    ):
        for path in captures:
            with Capture(path) as capture:
                if two_ways:
                    tell_directions(capture, networks)
                differences.add(capture, before.decisions(capture), after.decisions(capture))
                for remark in capture.remarks:
                    warn(remark)
    return differences


def _print(differences: Differences) -> None:
    seen, changed = differences.seen, differences.changed
    print(f"{changed.packets} of {counted(seen.packets, 'frame')} change, {changed.bytes} of {seen.bytes} bytes")
    for (before, after), group in differences.largest_first:
        frames = counted(group.count.packets, "frame")
        print(f"{before.verdict.value} -> {after.verdict.value}: {frames}, {group.count.bytes} bytes")
        print(f"  before: {_said(before)}")
        print(f"  after:  {_said(after)}")
        for path, numbers in group.frames.items():
            listed = ", ".join(map(str, numbers[:MOST_LISTED]))
            rest = f" and {len(numbers) - MOST_LISTED} more" if len(numbers) > MOST_LISTED else ""
            print(f"  {path}: {'frame' if len(numbers) == 1 else 'frames'} {listed}{rest}")


def _said(decision: Decision) -> str:
    """Who decided, in words."""
    if decision.by is None:
        return "no rule"
    if decision.by in VERDICT_COUNTERS:
        return {POLICY: "the policy"}.get(decision.by, decision.by)
    return f"rule {decision.by!r} ({decision.where})"


def _document(differences: Differences) -> dict[str, Any]:
    return {
        "frames": differences.seen.packets,
        "bytes": differences.seen.bytes,
        "changed": differences.changed.packets,
        "changed_bytes": differences.changed.bytes,
        "groups": [
            {
                "from": _decision(before),
                "to": _decision(after),
                "frames": group.count.packets,
                "bytes": group.count.bytes,
                "captures": [{"file": path, "frames": numbers} for path, numbers in group.frames.items()],
            }
            for (before, after), group in differences.largest_first
        ],
    }


def _decision(decision: Decision) -> dict[str, Any]:
    where = decision.where
    return {
        "verdict": decision.verdict.value,
        "by": decision.by,
        "file": where.file if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
    }
