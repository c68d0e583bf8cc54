"""What a replay found, as JSON and as tables: both say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from appliance.cli.tables import table_console
from appliance.datapath.captures import Capture
from appliance.datapath.replay import ReplayResult
from appliance.datapath.statistics import Count
from hooks.contracts.contract import Verdict

# The order of the rows and of `--json`.
ORDER = (Verdict.PASS, Verdict.DROP, Verdict.TX, Verdict.REDIRECT, Verdict.ABORTED)

Counts = Mapping[Verdict, Count]


@dataclass(frozen=True, slots=True)
class CaptureSeen:
    """What there was to see in one capture; see `Capture`."""

    file: str
    frames: int
    link_types: dict[str, int]
    recorded_in_part: int
    unread: dict[str, int]
    defect: str | None

    @classmethod
    def of(cls, capture: Capture) -> CaptureSeen:
        return cls(
            str(capture.path),
            len(capture),
            dict(capture.links),
            capture.shortened,
            dict(capture.unread),
            capture.defect,
        )


@dataclass(frozen=True, slots=True)
class Replayed:
    """All captures of a replay. `rules` is None for an object, which has none; `malformed` are frames by reason."""

    results: tuple[ReplayResult, ...]
    captures: tuple[CaptureSeen, ...]
    rules: Mapping[str, Count] | None
    malformed: Mapping[str, int]
    two_ways: bool

    @property
    def seconds(self) -> float:
        """Of the engine's loop alone."""
        return sum(result.seconds for result in self.results)

    @property
    def frames_per_second(self) -> float:
        frames = self.total("verdicts")
        return sum(count.packets for count in frames.values()) / self.seconds if self.seconds else 0.0

    def total(self, which: str) -> dict[Verdict, Count]:
        """`verdicts`, or those of frames that went `inward` or `outward`."""
        return {
            verdict: sum((getattr(result, which)[verdict] for result in self.results), Count()) for verdict in ORDER
        }


def document(replayed: Replayed) -> dict[str, Any]:
    """For `--json`."""
    ways = {"in": "inward", "out": "outward"} if replayed.two_ways else {}
    return {
        **_counted(replayed.total("verdicts")),
        "rules": {id_: asdict(count) for id_, count in (replayed.rules or {}).items()},
        "malformed": dict(replayed.malformed),
        **({"directions": {way: _counted(replayed.total(which)) for way, which in ways.items()}} if ways else {}),
        "captures": [asdict(capture) for capture in replayed.captures],
        "seconds": replayed.seconds,
        "frames_per_second": round(replayed.frames_per_second),
    }


def _counted(counts: Counts) -> dict[str, Any]:
    frames = sum(counts.values(), Count())
    return {
        "frames": frames.packets,
        "bytes": frames.bytes,
        "verdicts": {verdict.value: count.packets for verdict, count in counts.items()},
        "verdict_bytes": {verdict.value: count.bytes for verdict, count in counts.items()},
    }


def print_tables(replayed: Replayed) -> None:
    """For people: what did not happen is left out."""
    console = table_console()
    total = replayed.total("verdicts")
    frames = sum(total.values(), Count())
    rate = f", {replayed.frames_per_second / 1e6:.2f} million a second" if replayed.seconds else ""
    console.print(f"{frames.packets} frames, {frames.bytes} bytes{rate}")
    if replayed.two_ways:
        for way, which in (("from outside", "inward"), ("from inside", "outward")):
            _print_counts(console, way, replayed.total(which))
    else:
        _print_counts(console, "verdict", total)
    if replayed.rules is None:
        return
    hits = {id_: count for id_, count in replayed.rules.items() if count.packets}
    if not hits:
        console.print("no rule counted a frame")
        return
    table = Table("rule", "frames", "bytes", box=None, pad_edge=False)
    for id_, count in hits.items():
        table.add_row(escape(id_), str(count.packets), str(count.bytes))
    console.print(table)
    reasons = {reason: count for reason, count in replayed.malformed.items() if count}
    if reasons:
        table = Table("malformed", "frames", box=None, pad_edge=False)
        for reason, times in reasons.items():
            table.add_row(reason, str(times))
        console.print(table)


def _print_counts(console: Console, heading: str, counts: Counts) -> None:
    table = Table(heading, "frames", "bytes", box=None, pad_edge=False)
    for verdict, count in counts.items():
        if count.packets:
            table.add_row(verdict.value, str(count.packets), str(count.bytes))
    console.print(table)
