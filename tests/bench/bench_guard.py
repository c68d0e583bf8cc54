"""What `tidegate guard` costs those under it, by both engines: a bind, and calls that nobody watches, beside the same
without it."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.measuring import alternate
from tests.guarding import ALONE, GUARD, compiled, engine_options

ROUNDS = 5
BINDS, CALLS = 2000, 20000
MOST_MICROSECONDS = 60.0
MOST_IN_KERNEL = 1.0  # microseconds
MOST_SHARE = 1.01
KERNEL = "Linux' cgroup/bind4, asked by the kernel"
OBJECTS = {"Linux' cgroup/bind4": "binds_and_connects", "Windows' bind, told of its ends": "windows_bind"}
UNWATCHED = ("read of 4 KiB", "byte through a socket pair", "open and close", "getppid, which does nothing")


def main(bench: Bench) -> Iterator[Figure]:
    tool = (str(bench.tools / "calls"), str(BINDS), str(CALLS))
    measures = {"plain": lambda: _run(tool)} | {
        name: lambda object_=object_: _run((*GUARD, "--object", str(compiled(object_)), "--", *tool))
        for name, object_ in OBJECTS.items()
    }
    in_kernel = (*GUARD, *engine_options("kernel"), "--object", str(compiled(OBJECTS["Linux' cgroup/bind4"])), "--")
    measures[KERNEL] = lambda: _run((*in_kernel, *tool))
    samples = alternate(ROUNDS, measures)
    plain = samples["plain"]
    for name in OBJECTS:
        yield _figure(f"bind, {name}", samples[name], plain, 0, Target(Compared.DIFFERENCE, at_most=MOST_MICROSECONDS))
    yield _figure(f"bind, {KERNEL}", samples[KERNEL], plain, 0, Target(Compared.DIFFERENCE, at_most=MOST_IN_KERNEL))
    guarded = samples[next(iter(OBJECTS))]
    for index, name in enumerate(UNWATCHED, 1):
        yield _figure(name, guarded, plain, index, Target(Compared.RATIO, at_most=MOST_SHARE))


def _run(command: Sequence[str]) -> tuple[float, ...]:
    """Microseconds, as `calls.c` has them."""
    done = subprocess.run([*ALONE, *command], capture_output=True, text=True, check=True)
    return tuple(float(number) / 1000 for number in done.stdout.split())


def _figure(
    name: str, guarded: Sequence[Sequence[float]], plain: Sequence[Sequence[float]], index: int, target: Target
) -> Figure:
    taken: Mapping[str, list[float]] = {
        "guarded": [sample[index] for sample in guarded],
        "plain": [sample[index] for sample in plain],
    }
    middle = statistics.median if index == 0 else min  # other work on the machine only ever adds to a short call
    return Figure(
        name=name,
        value=middle(taken["guarded"]),
        unit="µs",
        peer="without a guard",
        peer_value=middle(taken["plain"]),
        target=target,
        samples=taken,
    )
