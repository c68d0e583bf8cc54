"""`python -m tests.guarded_map ENGINE OBJ MAP COMMAND…`: a guarded command, and behind what it prints the entries of a
map and the counters, as JSON: what programs and ledger remember of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance.api import Loaded, Object, open_object
from appliance.guard.kernel.engine import KernelEngine
from appliance.guard.kernel.loaded import KernelLoaded, load_in_kernel
from appliance.guard.seccomp.engine import SeccompEngine
from tests.cgroup2 import hierarchy


def main(engine: str, path: str, name: str, *command: str) -> None:
    """The command's exit status is of no account."""
    opened = open_object(Path(path))
    with STARTS[engine](opened) as (loaded, started):
        with started.start(command, tell=lambda denial: None) as guarded:
            guarded.wait()
            calls = guarded.statistics().calls
        entries = [*loaded.typed(name).items()] if name else []
    counts = {f"{call.value} {outcome.value}": number for (call, outcome), number in calls.items() if number}
    print(json.dumps({"entries": entries, "counts": counts}))


@contextmanager
def _here(opened: Object) -> Iterator[tuple[Loaded, SeccompEngine]]:
    with opened.load() as loaded:
        yield loaded, SeccompEngine(loaded, [*loaded.programs])


@contextmanager
def _in_kernel(opened: Object) -> Iterator[tuple[KernelLoaded, KernelEngine]]:
    with load_in_kernel(opened.spec, [*opened.programs]) as loaded:
        yield loaded, KernelEngine(loaded, below=hierarchy())


STARTS: Mapping[str, Callable[[Object], Any]] = {"here": _here, "kernel": _in_kernel}
main(*sys.argv[1:])
