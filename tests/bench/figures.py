"""What a measurement gives: figures, each beside its peer, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any


class Compared(Enum):
    """Which number a target speaks of."""

    RATIO = "ratio"  # of the value to the peer's
    DIFFERENCE = "difference"  # the value less the peer's
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on the compared number, in its unit."""

    compared: Compared
    at_least: float | None = None
    at_most: float | None = None

    def met(self, number: float) -> bool:
        return (self.at_least is None or number >= self.at_least) and (self.at_most is None or number <= self.at_most)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `value` is None where nothing could be measured; the `remark` says why then. `samples` are
    what the medians are taken of, by who was measured."""

    name: str
    value: float | None
    unit: str
    peer: str = ""
    peer_value: float | None = None
    target: Target | None = None
    remark: str = ""
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.value is not None and self.peer_value else None

    @property
    def difference(self) -> float | None:
        return None if self.value is None or self.peer_value is None else self.value - self.peer_value

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.target is None:
            return None
        number = getattr(self, self.target.compared.value)
        return number is not None and self.target.met(number)

    def document(self) -> dict[str, Any]:
        """As JSON says it."""
        target = self.target and {**asdict(self.target), "compared": self.target.compared.value}
        computed = {"ratio": self.ratio, "difference": self.difference, "target": target, "met": self.met}
        return {**asdict(self), **computed}


@dataclass(frozen=True, slots=True)
class Bench:
    """What every benchmark is given: where the compiled C helpers are, how long one measured window lasts, and of what
    it measures one after the other only these (none: all)."""

    tools: Path
    folder: Path
    seconds: float | None
    only: Sequence[str] = ()

    def window(self, usual: float) -> float:
        """Seconds of one measured window; `usual` unless the command line says otherwise."""
        return self.seconds or usual


Benchmark = Callable[[Bench], Iterable[Figure]]
