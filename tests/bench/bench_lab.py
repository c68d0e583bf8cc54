"""The lab as `make demo` runs it: what got through of the good and of the bad."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from tests.appliance.box.conftest import TIDEGATE
from tests.bench.figures import Bench, Compared, Figure, Target

SECONDS = 60.0


def main(bench: Bench) -> Iterator[Figure]:
    seconds = bench.window(SECONDS)
    command = [*TIDEGATE, "lab", "--json", "--seconds", f"{seconds:g}"]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    good, attack, box = report["good"], report["attack"], report["box"]
    yield Figure(
        name="lab, good traffic delivered",
        value=100 * good["received"] / good["sent"],
        unit="%",
        target=Target(Compared.VALUE, at_least=100),
        remark=f"{good['received']:,} of {good['sent']:,} in {seconds:g} s",
    )
    yield Figure(
        name="lab, attack delivered",
        value=100 * attack["received"] / attack["sent"],
        unit="%",
        target=Target(Compared.VALUE, at_most=1),
        remark=f"{attack['received']:,} of {attack['sent']:,}; the rings lost {box['capture_dropped']:,}",
    )
