"""What the lab tells: how much of the good and of the bad got through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of good traffic: requests made and right answers. Of attacks: frames sent, and frames seen at the server."""

    sent: int = 0
    received: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.sent + other.sent, self.received + other.received)

    @property
    def delivered(self) -> float:
        """The part that was received, 0 to 1; 0 if nothing was sent."""
        return self.received / self.sent if self.sent else 0.0


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A good request without its answer: seconds since the traffic began, and where it came from (port 0: none)."""

    seconds: float
    kind: str
    source: str
    port: int


@dataclass(frozen=True, slots=True)
class RuleHits:
    """The frames that a rule's action applied to."""

    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BoxCounts:
    """The box's own account, in frames of both interfaces: `capture_dropped` are those that it never saw."""

    received: int = 0
    passed: int = 0
    dropped: int = 0
    capture_dropped: int = 0
    rules: Mapping[str, RuleHits] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabReport:
    """One moment of the lab; the last one is final and exact. `seconds` since the traffic began; `unanswered` are the
    first hundred good requests that got no answer."""

    seconds: float
    good_by_kind: Mapping[str, Traffic]
    attack_by_kind: Mapping[str, Traffic]
    box: BoxCounts
    unanswered: Sequence[Unanswered] = ()

    @property
    def good(self) -> Traffic:
        return sum(self.good_by_kind.values(), Traffic())

    @property
    def attack(self) -> Traffic:
        return sum(self.attack_by_kind.values(), Traffic())

    def as_json(self) -> dict[str, Any]:
        """The document of `tidegate lab --json`."""
        box = self.box
        return {
            "seconds": round(self.seconds, 3),
            "good": {"sent": self.good.sent, "received": self.good.received},
            "attack": {"sent": self.attack.sent, "received": self.attack.received},
            "box": {
                "received": box.received,
                "passed": box.passed,
                "dropped": box.dropped,
                "capture_dropped": box.capture_dropped,
            },
            "unanswered": [asdict(each) for each in self.unanswered],
            "rules": {id_: {"packets": hits.packets, "bytes": hits.bytes} for id_, hits in box.rules.items()},
        }
