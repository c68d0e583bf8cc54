"""What Prometheus scrapes of a guard: calls by rule, call and verdict.

No label can be grown by who is guarded: rules are named by the document, calls and verdicts by this code. Every series
exists from the start, at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

LABELS = ("rule", "op", "verdict")
Counted = Iterable[tuple[tuple[str, str, str], int]]


class GuardCollector(Collector):
    """Asks for the counts when it is scraped. Any thread."""

    def __init__(self, counts: Callable[[], Counted]) -> None:
        """`counts` gives labels, in the order of LABELS, and calls."""
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """The one family."""
        text = "Calls that a rule matched, and what became of them there; default: no rule decided."
        family = CounterMetricFamily("tidegate_guard_calls", text, labels=LABELS)
        for labels, count in self._counts():
            family.add_metric(labels, count)
        yield family
