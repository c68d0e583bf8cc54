"""One moment of a box, as the collector wants it. Immutable; made by the box when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.datapath.statistics import Count, InterfaceStatistics


@dataclass(frozen=True, slots=True)
class RuleCount:
    """The frames that a rule's action applied to (or would have, in monitor mode) since the box started."""

    id: str
    action: str
    mode: str
    count: Count


@dataclass(frozen=True, slots=True)
class MapUse:
    """How full a map is, in entries, and how many have pushed others out; None of a map in which none does."""

    name: str
    entries: int
    capacity: int
    evicted: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerUse:
    """Whether a worker is at work, and when it was last seen to get on, in seconds since 1970."""

    up: bool
    last_progress: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is exported. Durations in seconds, times in seconds since 1970."""

    version: str
    rules: tuple[RuleCount, ...] = ()
    interfaces: Mapping[str, InterfaceStatistics] = field(default_factory=dict)
    interfaces_up: Mapping[str, bool] = field(default_factory=dict)
    interfaces_isolated: Mapping[str, bool] = field(default_factory=dict)
    interfaces_closed_again: Mapping[str, int] = field(default_factory=dict)
    workers: Mapping[str, WorkerUse] = field(default_factory=dict)
    parse_errors: Mapping[str, int] = field(default_factory=dict)
    maps: tuple[MapUse, ...] = ()
    verify_seconds: Mapping[str, float] = field(default_factory=dict)
    compile_seconds: float = 0.0
    datapath_seconds: float = 0.0  # of processors, that the processes that judge frames have had
    approvals: Mapping[str, int] = field(default_factory=dict)  # checks, by how they ended
    remembered: Mapping[str, int] = field(default_factory=dict)  # code looked for on disk, by what was found
    reloads: Mapping[str, int] = field(default_factory=lambda: {"success": 0, "failure": 0})
    reload_timestamp: float = 0.0
