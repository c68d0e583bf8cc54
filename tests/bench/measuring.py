"""Shared ways of measuring: alternation against drift, medians against noise, and where a process may run."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from hooks.interfaces.netns import Namespace

_Sample = TypeVar("_Sample")
SOURCES = Path(__file__).parent
TOOLS = ("forwarder", "flood", "sequence", "echo", "visitors", "calls")
ALL_PROCESSORS = frozenset(os.sched_getaffinity(0))


def build_tools(folder: Path) -> None:
    """Compile the C helpers of this folder."""
    for name in TOOLS:
        command = ["gcc", "-O2", "-Wall", "-o", str(folder / name), str(SOURCES / f"{name}.c")]
        subprocess.run(command, check=True)


def alternate(rounds: int, measures: Mapping[str, Callable[[], _Sample]]) -> dict[str, list[_Sample]]:
    """Measure everybody once a round, in an order that turns with each: A B, B A, A B… What drifts hits all alike."""
    samples: dict[str, list[_Sample]] = {name: [] for name in measures}
    order = list(measures)
    for _ in range(rounds):
        for name in order:
            samples[name].append(measures[name]())
        order.reverse()
    return samples


def medians(samples: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in samples.items()}


def percentile(values: Iterable[float], percent: int) -> float:
    """The value that so many percent of all don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def pin(pid: int, processors: Iterable[int]) -> None:
    """Keep every thread of a process on these processors."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), processors)


def on(processors: Iterable[int], *command: str) -> list[str]:
    """The command, to run on these processors alone."""
    return ["taskset", "-c", ",".join(map(str, processors)), *command]


def received_frames(place: Namespace, interface: str) -> int:
    """How many frames the interface has received, by the kernel's own counter. Takes some 50 microseconds."""
    with place.entered():
        for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
            name, _, counters = line.partition(":")
            if name.strip() == interface:
                return int(counters.split()[1])
    raise LookupError(interface)
