"""The lab's live view: it fits the window that it is shown in."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from appliance.cli.commands.lab import _view_that_fits
from appliance.lab.report import BoxCounts, LabReport, RuleHits, Traffic

KINDS = ("syn", "ntp", "dns", "memcached", "fragments", "xmas")
REPORT = LabReport(
    seconds=5,
    good_by_kind={"http4": Traffic(4, 4), "dns4": Traffic(90, 90)},
    attack_by_kind={kind + wrapped: Traffic(100, 1) for kind in KINDS for wrapped in ("", "+vlan")},
    box=BoxCounts(1300, 106, 1194, 0, {f"rule-{number}": RuleHits(10 + number, 640) for number in range(6)}),
)


@pytest.mark.parametrize(("height", "kinds"), [(24, False), (50, True)])
def test_a_low_window_shows_totals(height: int, kinds: bool) -> None:
    console = Console(file=io.StringIO(), width=80, height=height)
    lines = ["".join(part.text for part in line) for line in console.render_lines(_view_that_fits(REPORT, console))]
    assert len(lines) < height
    assert [line.split()[:3] for line in lines if line.startswith("total")] == [
        ["total", "94", "94"],
        ["total", "1200", "12"],
    ]
    assert any(line.startswith("memcached+vlan") for line in lines) is kinds
    assert lines[-1].split() == ["rule-0", "10"]
