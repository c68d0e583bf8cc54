"""Memory of a running box: all its processes, two interfaces, default rings, the default rule set, after a flood."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bench_forwarding import flooded
from tests.bench.bench_start import DEFAULT_RULES
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.footprint import megabytes
from tests.bench.joins import tidegate

MOST_MEGABYTES = 250.0
SECONDS = 2.0
KINDS = ("Pss_Anon", "Pss_File", "Pss_Shmem")


def main(bench: Bench) -> Iterator[Figure]:
    with tidegate(bench, DEFAULT_RULES) as gate:
        flooded(bench, gate, bench.window(SECONDS))
        found = megabytes(gate.box)
    yield Figure(
        name="memory of a box's processes, default rule set",
        value=found["Pss"],
        unit="MB",
        target=Target(Compared.VALUE, at_most=MOST_MEGABYTES),
        remark=", ".join(f"{kind.removeprefix('Pss_').lower()} {found[kind]:.0f}" for kind in KINDS) + " MB",
    )
