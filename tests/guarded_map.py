"""`python -m tests.guarded_map OBJ MAP COMMAND…`: a guarded command, and behind what it prints the entries of a map and
the counters, as JSON: what programs and ledger remember of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from appliance.api import open_object
from appliance.guard.seccomp.engine import SeccompEngine


def main(path: str, name: str, *command: str) -> None:
    """The command's exit status is of no account."""
    with open_object(Path(path)).load() as loaded:
        with SeccompEngine(loaded, [*loaded.programs]).start(command) as guarded:
            guarded.wait()
            calls = guarded.statistics().calls
        entries = [*loaded.typed(name).items()] if name else []
    counts = {f"{call.value} {outcome.value}": number for (call, outcome), number in calls.items() if number}
    print(json.dumps({"entries": entries, "counts": counts}))


main(*sys.argv[1:])
