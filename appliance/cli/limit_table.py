"""How the breaking point is shown: each rate as it is tried, and a table at the end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from rich.console import Group
from rich.table import Table
from rich.text import Text

from appliance.lab.limit.report import LEAST_ANSWERED, Limit, LimitReport, Step


class LimitView:
    """What has been tried so far goes to `show`, step by step. For one thread."""

    def __init__(self, show: Callable[[Table], None]) -> None:
        self._show = show
        self._tried: list[tuple[str, Step]] = []

    def add(self, who: str, step: Step) -> None:
        self._tried.append((who, step))
        tried = _columns("in the box's place", "attack, frames/s", "asked", "answered", "")
        for name, each in self._tried:
            outcome = Text("held", style="green") if each.holds else Text("broke", style="red")
            tried.add_row(name, f"{each.offered:,.0f}", str(each.good.sent), f"{each.good.delivered:.2%}", outcome)
        self._show(tried)

    def table(self, report: LimitReport) -> Group:
        """The outcome, and what it rests on."""
        found = _columns("in the box's place", "holds at, frames/s", "breaks at", "attack let through", "steps")
        for limit in report.limits:
            found.add_row(limit.who, *_outcome(limit))
        steps = list(chain.from_iterable(limit.steps for limit in report.limits))
        fewest = min((step.good.sent for step in steps if step.holds), default=0)
        told = f"{LEAST_ANSWERED:.1%} of good requests answered, of {fewest:,} and more at each rate that held."
        return Group(found, Text(), Text(told))


def _outcome(limit: Limit) -> tuple[str, ...]:
    if limit.lack:
        return "-", "-", "-", limit.lack
    best, breaks = limit.best, limit.breaks
    return (
        f"{best.offered:,.0f}" if best else "at none",
        f"{breaks:,.0f}" if breaks is not None else "not found",
        f"{best.attack.delivered:.2%}" if best else "-",
        str(len(limit.steps)),
    )


def _columns(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, width=20)
    for heading in others:
        table.add_column(heading, justify="right")
    return table
