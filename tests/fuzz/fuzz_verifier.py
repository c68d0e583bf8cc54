"""What the verifier accepts keeps its promise: generated programs, the corpus and its mutants, in a hostile world.

Run: python -m tests.fuzz.fuzz_verifier [seconds] [seed]

Each accepted program runs in the checking interpreter on hostile frames and maps, and Linux's verifier is asked of it.
A find is printed with its seed, or with the mutant's place.
"""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeAlias

from appliance.ebpf.isa.instructions import LoadMap, LoadMapValue
from appliance.ebpf.spec import ProgramSpec
from appliance.verifier import Rejected, Verifier
from tests.appliance.verifier import kernel
from tests.appliance.verifier.generate import random_program
from tests.appliance.verifier.support import MAPS, program
from tests.appliance.verifier.test_soundness import COUNTED, FEW_STEPS, USUAL
from tests.corpus.building import build
from tests.corpus.corpus import NAMES, object_of, verify
from tests.corpus.hostile import faults
from tests.corpus.linux_says import ending, explained
from tests.corpus.test_variants import check_variant
from tests.corpus.verifying import judge

Findings: TypeAlias = tuple[list[str], Counter[str]]
AT_LEAST = 50_000  # generated programs in one run, however long it takes
WAVE = 500  # programs for one process at a time
RUNS = 6  # of one generated program
RUNS_OF_CORPUS = 400
RUNS_OF_MUTANTS = 20


def generated(seed: int) -> Findings:
    """A wave of random programs, each of which uses few of the many maps."""
    finds, count, verifier = (
        [],
        Counter[str](),
        Verifier(MAPS, strategies=(USUAL, COUNTED)[seed // WAVE % 2], budget=FEW_STEPS),
    )
    there = kernel.available()
    with kernel.kernel_maps(MAPS if there else {}) as maps:
        for number in range(seed, seed + WAVE):
            count["generated"] += 1
            try:
                verified = verifier.verify(program(random_program(number)))
            except Rejected:
                continue
            count["generated, accepted"] += 1
            chance = random.Random(number)
            used = {name: MAPS[name] for name in maps_of(verified.spec)}
            finds += [f"seed {number}: {fault}" for fault in faults(verified.spec, used, chance, RUNS)]
            refusal = kernel.refusal(verified.spec, maps) if there else None
            if refusal is not None:
                count["generated, accepted, but not by Linux"] += 1
                if not explained(verified, refusal):
                    finds.append(f"seed {number}: Linux rejects it: {ending(refusal)}")
    return finds, count


def maps_of(spec: ProgramSpec) -> set[str]:
    """The maps that the program names."""
    return {code.map for code in spec.instructions if isinstance(code, LoadMap | LoadMapValue)}


def corpus(name: str) -> Findings:
    """One good program and all of its mutants."""
    count: Counter[str] = Counter()
    finds = list(judge(name, None, RUNS_OF_MUTANTS, count))
    try:
        verified = verify(object_of(name, "good"))
    except Rejected:
        return finds, count
    chance = random.Random(name)
    finds += [f"{name}: {fault}" for fault in faults(verified.spec, verified.maps, chance, RUNS_OF_CORPUS)]
    count["corpus"] += 1
    return finds, count


def variants(flags: tuple[str, str]) -> Findings:
    """The corpus, as clang makes it with other flags."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            check_variant(build(Path(folder), *flags), *flags)
        except AssertionError as error:
            return [f"{flags}: {error}"], Counter()
    return [], Counter({"variants": 1})


def work(seconds: float, first: int) -> Iterator[tuple[Callable[..., Findings], object]]:
    """The corpus, its variants, and generated programs for as long."""
    end = time.monotonic() + seconds
    yield from ((corpus, name) for name in NAMES)
    yield from ((variants, flags) for flags in itertools.product(("-O1", "-O2", "-O3"), ("v1", "v2", "v3")))
    for seed in itertools.count(first, WAVE):
        if seed - first >= AT_LEAST and time.monotonic() > end:
            return
        yield generated, seed


def main(seconds: float = 60.0, seed: int | None = None) -> int:
    """Run for that long, and at least AT_LEAST generated programs; the number of finds."""
    first = time.time_ns() if seed is None else seed
    finds, count, tasks = 0, Counter[str](), work(seconds, first)
    with ProcessPoolExecutor() as processes:
        while wave := list(itertools.islice(tasks, 8)):
            for found, counted in [future.result() for future in [processes.submit(*task) for task in wave]]:
                count += counted
                finds += len(found)
                print(*found, sep="\n", end="\n" if found else "")
    numbers = ", ".join(f"{number} {what}" for what, number in count.items())
    print(f"verifier: from seed {first}: {numbers}; {finds} finds")
    return finds


if __name__ == "__main__":
    arguments = [float(argument) for argument in sys.argv[1:]]
    sys.exit(bool(main(*arguments[:1], *map(int, arguments[1:2]))))
