"""Lookups from a program: one object here and in the Linux kernel, in turns, on maps with the same entries.

A run looks 64 pseudo-random keys up. The time of a program that makes the same keys and looks nothing up is taken off
on both sides, so that what is compared are the lookups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from appliance.api import Loaded, open_object
from appliance.datapath.test_run import MOST_REPEATS
from hooks.contracts.xdp import XDP_LINUX
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.kernel_object import KernelObject, compile_object
from tests.bench.measuring import alternate, medians

SOURCE = Path(__file__).with_name("lookups.bpf.c")
LOOKUPS = 64  # in one run
ROUNDS = 7
WINDOW_SECONDS = 0.25
MOST_RATIO = 0.8
FRAME = bytes(64)
WARM_UP = 2000  # runs
PASS = 2
ONE = (1).to_bytes(8, "little")


def _hashed(number: int) -> bytes:
    return number.to_bytes(8, "little") + (number * 0x9E3779B97F4A7C15 & (1 << 64) - 1).to_bytes(8, "little")


def _index(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _address(number: int) -> bytes:
    return _index(32) + _index(number * 2654435761 & 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of map, and the keys that are in it. `copies`: values of each key in the kernel."""

    name: str
    type: str
    entries: int
    key: Callable[[int], bytes]
    options: tuple[str, ...] = ()
    target: Target | None = None


TABLES = (
    Table("hash, 16-byte keys", "HASH", 1_000_000, _hashed, target=Target(Compared.RATIO, at_most=MOST_RATIO)),
    Table("LRU hash, 16-byte keys", "LRU_HASH", 1_000_000, _hashed),
    Table("array", "ARRAY", 1_000_000, _index, ("-DINDEX",)),
    Table("LPM trie, IPv4", "LPM_TRIE", 100_000, _address, ("-DPREFIX",)),
)


def main(bench: Bench) -> Iterator[Figure]:
    for table in TABLES:
        yield _measure(table, bench)


def _measure(table: Table, bench: Bench) -> Figure:
    path = _build(table, bench.folder)
    keys = [table.key(number) for number in range(table.entries)]
    with open_object(path).load() as here, KernelObject(path) as kernel:
        here.maps["table"].update_batch((key, ONE) for key in keys)
        kernel.fill("table", b"".join(keys), ONE * len(keys), len(keys))
        runs = {
            f"{who}, {program}": _in_window(run, program, bench.window(WINDOW_SECONDS))
            for who, run in (("here", lambda *given: _run_here(here, *given)), ("kernel", kernel_run(kernel)))
            for program in ("lookups", "keys")
        }
        samples = alternate(ROUNDS, runs)
    middle = medians(samples)
    ours, theirs = ((middle[f"{who}, lookups"] - middle[f"{who}, keys"]) / LOOKUPS for who in ("here", "kernel"))
    return Figure(
        name=f"lookup from a program, {table.name}, {table.entries:,} entries",
        value=ours,
        unit="ns",
        peer="Linux",
        peer_value=theirs,
        target=table.target,
        remark=f"keys alone: {middle['here, keys'] / LOOKUPS:.2f} ns, {middle['kernel, keys'] / LOOKUPS:.2f} ns",
        samples=samples,
    )


def _build(table: Table, folder: Path) -> Path:
    path = folder / f"lookups-{table.type.lower()}.bpf.o"
    defined = [f"-DTYPE=BPF_MAP_TYPE_{table.type}", f"-DENTRIES={table.entries}", *table.options]
    return compile_object(SOURCE, path, *defined)


Run = Callable[[str, int], tuple[int, float]]


def _run_here(loaded: Loaded, program: str, repeat: int) -> tuple[int, float]:
    run = loaded.programs[program].test_run(FRAME, repeat=repeat)
    return run.retval, run.duration_ns


def kernel_run(kernel: KernelObject) -> Run:
    return lambda program, repeat: kernel.run(program, FRAME, repeat)


def _in_window(run: Run, program: str, seconds: float) -> Callable[[], float]:
    """Nanoseconds of a run, as the mean of a window."""
    answer, estimate = run(program, WARM_UP)
    if XDP_LINUX.verdicts[answer] is not XDP_LINUX.verdicts[PASS]:
        raise AssertionError(f"{program} does not find what was put in: it answers {answer}")
    calls, repeat = _shares(seconds * 1e9 / estimate if estimate else MOST_REPEATS)
    return lambda: fmean(run(program, repeat)[1] for _ in range(calls))


def _shares(runs: float) -> tuple[int, int]:
    """How many calls make so many runs, and how many runs are in each: one call takes only so many at once."""
    calls = max(1, math.ceil(runs / MOST_REPEATS))
    return calls, max(1, int(runs / calls))
