"""From a snapshot to metric families: one table of what each metric means and where its samples come from.

No label can be grown by an attacker: rules, interfaces, verdicts, reasons and maps are all named by the configuration
or by this code. Every series exists from the start, at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.metrics.snapshot import Snapshot

Samples = Iterable[tuple[tuple[str, ...], float]]
SENT = "sent"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name without prefix and suffix, its meaning, its labels, and its samples."""

    name: str
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily]
    help: str
    labels: tuple[str, ...]
    samples: Callable[[Snapshot], Samples]


def _rules(unit: str) -> Callable[[Snapshot], Samples]:
    return lambda snapshot: (((rule.id, rule.action, rule.mode), getattr(rule.count, unit)) for rule in snapshot.rules)


def _interfaces(unit: str) -> Callable[[Snapshot], Samples]:
    def samples(snapshot: Snapshot) -> Samples:
        for name, interface in snapshot.interfaces.items():
            for verdict, count in interface.verdicts.items():
                yield (name, "receive", verdict.value), getattr(count, unit)
            yield (name, "transmit", SENT), getattr(interface.transmitted, unit)

    return samples


def _by_reason(field: str) -> Callable[[Snapshot], Samples]:
    return lambda snapshot: (
        ((name, reason), count)
        for name, interface in snapshot.interfaces.items()
        for reason, count in getattr(interface, field).items()
    )


_RULE = ("rule", "action", "mode")
_INTERFACE = ("interface", "direction", "verdict")

FAMILIES = (
    Family("rule_packets", CounterMetricFamily, "Frames a rule's action applied to.", _RULE, _rules("packets")),
    Family(
        "rule_bytes", CounterMetricFamily, "Bytes of the frames a rule's action applied to.", _RULE, _rules("bytes")
    ),
    Family(
        "interface_packets",
        CounterMetricFamily,
        "Frames received, by what became of them, and frames sent.",
        _INTERFACE,
        _interfaces("packets"),
    ),
    Family(
        "interface_bytes",
        CounterMetricFamily,
        "Bytes of the frames received, by what became of them, and of the frames sent.",
        _INTERFACE,
        _interfaces("bytes"),
    ),
    Family(
        "capture_dropped_packets",
        CounterMetricFamily,
        "Frames that the box never saw whole: the receive ring was full, or the frame did not fit.",
        ("interface", "reason"),
        _by_reason("capture_dropped"),
    ),
    Family(
        "transmit_errors",
        CounterMetricFamily,
        "Frames that were to leave and could not.",
        ("interface", "reason"),
        _by_reason("transmit_errors"),
    ),
    Family(
        "parse_errors",
        CounterMetricFamily,
        "Frames whose headers are cut short or contradict themselves.",
        ("reason",),
        lambda snapshot: (((reason,), count) for reason, count in snapshot.parse_errors.items()),
    ),
    Family(
        "map_entries",
        GaugeMetricFamily,
        "Entries in a map; a rule's maps are called by its id and the key that sizes them.",
        ("map",),
        lambda snapshot: (((use.name,), use.entries) for use in snapshot.maps),
    ),
    Family(
        "map_capacity",
        GaugeMetricFamily,
        "Entries a map can hold.",
        ("map",),
        lambda snapshot: (((use.name,), use.capacity) for use in snapshot.maps),
    ),
    Family(
        "map_evictions",
        CounterMetricFamily,
        "Entries that were pushed out of a full map by others, in maps that do that.",
        ("map",),
        lambda snapshot: (((use.name,), use.evicted) for use in snapshot.maps if use.evicted is not None),
    ),
    Family(
        "interface_up",
        GaugeMetricFamily,
        "1 while the interface is there, is up and has a carrier; else 0.",
        ("interface",),
        lambda snapshot: (((name,), float(up)) for name, up in snapshot.interfaces_up.items()),
    ),
    Family(
        "interface_isolated",
        GaugeMetricFamily,
        "0 while the host's own stack may hear or speak on an inline interface; else 1.",
        ("interface",),
        lambda snapshot: (((name,), float(closed)) for name, closed in snapshot.interfaces_isolated.items()),
    ),
    Family(
        "interface_closed_again",
        CounterMetricFamily,
        "How often an inline interface was found open to the host's own stack, and was closed again.",
        ("interface",),
        lambda snapshot: (((name,), count) for name, count in snapshot.interfaces_closed_again.items()),
    ),
    Family(
        "worker_up",
        GaugeMetricFamily,
        "1 while a worker is at work or sleeps for want of frames; 0 if it hangs or has died.",
        ("worker",),
        lambda snapshot: (((name,), float(worker.up)) for name, worker in snapshot.workers.items()),
    ),
    Family(
        "worker_last_progress_timestamp_seconds",
        GaugeMetricFamily,
        "When a worker was last seen to get on. An idle one gets on once a second.",
        ("worker",),
        lambda snapshot: (((name,), worker.last_progress) for name, worker in snapshot.workers.items()),
    ),
    Family(
        "program_verify_seconds",
        GaugeMetricFamily,
        "How long the proof of the running program took.",
        ("program",),
        lambda snapshot: (((name,), seconds) for name, seconds in snapshot.verify_seconds.items()),
    ),
    Family(
        "program_compile_seconds",
        GaugeMetricFamily,
        "How long the compilation of the running datapath took.",
        (),
        lambda snapshot: [((), snapshot.compile_seconds)],
    ),
    Family(
        "datapath_cpu_seconds",
        CounterMetricFamily,
        "Seconds of processors that the processes which judge frames have had, one after the other.",
        (),
        lambda snapshot: [((), snapshot.datapath_seconds)],
    ),
    Family(
        "approvals",
        CounterMetricFamily,
        "Checks of code that was to run, by result: approved, unchecked, or why it was not approved.",
        ("result",),
        lambda snapshot: (((result,), count) for result, count in snapshot.approvals.items()),
    ),
    Family(
        "remembered_code",
        CounterMetricFamily,
        "How often approved code was looked for on disk: found, absent, or refused for what lay there.",
        ("result",),
        lambda snapshot: (((result,), count) for result, count in snapshot.remembered.items()),
    ),
    Family(
        "reloads",
        CounterMetricFamily,
        "Reloads of the configuration, by result.",
        ("result",),
        lambda snapshot: (((result,), count) for result, count in snapshot.reloads.items()),
    ),
    Family(
        "reload_timestamp_seconds",
        GaugeMetricFamily,
        "When the running configuration was loaded.",
        (),
        lambda snapshot: [((), snapshot.reload_timestamp)],
    ),
    Family(
        "build_info",
        GaugeMetricFamily,
        "Always 1; the version is the label.",
        ("version",),
        lambda snapshot: [((snapshot.version,), 1)],
    ),
)


class BoxCollector(Collector):
    """Asks for a snapshot when Prometheus asks for metrics, and never otherwise. Any thread that `snapshot` is for."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterator[Metric]:
        """The families without samples, so that registering does not take a snapshot."""
        for family in FAMILIES:
            yield family.kind(f"tidegate_{family.name}", family.help, labels=family.labels)

    def collect(self) -> Iterator[Metric]:
        snapshot = self._snapshot()
        for family in FAMILIES:
            metric = family.kind(f"tidegate_{family.name}", family.help, labels=family.labels)
            for labels, value in family.samples(snapshot):
                metric.add_metric(labels, value)
            yield metric
