"""What the search for the breaking point tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from appliance.lab.attacks.mix import Mix
from appliance.lab.report import Traffic

LEAST_ANSWERED = 0.999


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, held for some seconds. `rate` is what was asked of the attackers, `offered` what they sent, both in
    frames a second; `good` are the requests that began meanwhile, `attack` the frames that were sent and that arrived
    at the server."""

    rate: float
    offered: float
    good: Traffic
    attack: Traffic

    @property
    def holds(self) -> bool:
        """Whether enough of the good requests were answered. Nobody who asked: no."""
        return self.good.sent > 0 and self.good.delivered >= LEAST_ANSWERED

    def as_json(self) -> dict[str, Any]:
        return {
            "rate": round(self.rate),
            "offered": round(self.offered),
            "good": {"sent": self.good.sent, "received": self.good.received},
            "attack": {"sent": self.attack.sent, "received": self.attack.received},
            "holds": self.holds,
        }


@dataclass(frozen=True, slots=True)
class Limit:
    """What one who stands in the box's place can bear. `best` is the step of the highest rate that it held, None if it
    held none; `breaks` the lowest rate that it didn't, None if there was none: then the attackers were the limit.
    `lack` says why it wasn't measured."""

    who: str
    steps: Sequence[Step] = ()
    lack: str | None = None

    @property
    def best(self) -> Step | None:
        borne = (step for step in self.steps if step.holds and step.rate)
        return max(borne, key=lambda step: step.offered, default=None)

    @property
    def breaks(self) -> float | None:
        return min((step.offered for step in self.steps if not step.holds), default=None)

    def as_json(self) -> dict[str, Any]:
        return {
            "who": self.who,
            "limit": None if self.best is None else round(self.best.offered),
            "breaks": None if self.breaks is None else round(self.breaks),
            "lack": self.lack,
            "steps": [step.as_json() for step in self.steps],
        }


@dataclass(frozen=True, slots=True)
class LimitReport:
    """All of them, measured in one run on the same wires."""

    mix: Mix
    limits: Sequence[Limit]

    def as_json(self) -> dict[str, Any]:
        """The document of `tidegate lab --find-limit --json`."""
        return {
            "attack": dict(self.mix),
            "least_answered": LEAST_ANSWERED,
            "limits": [limit.as_json() for limit in self.limits],
        }
