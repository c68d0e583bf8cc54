"""What the verifier accepts keeps its promise: generated programs, the corpus and its mutants, in a hostile world.

Run: python -m tests.fuzz verifier [--seconds S] [--seed N]

Each accepted program runs in the checking interpreter on hostile frames and maps, and Linux's verifier is asked of it.
A find is printed with its seed, or with the mutant's place.
"""

from __future__ import annotations

import itertools
import random
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
Task: TypeAlias = tuple[Callable[..., Findings], object]
AT_ONCE = 4  # tasks between two looks at the clock
WAVE = 500  # programs for one process at a time
RUNS = 6  # of one generated program
RUNS_OF_CORPUS = 400
RUNS_OF_MUTANTS = 20


def generated(seed: int) -> Findings:
    """A wave of random programs, each of which uses few of the many maps."""
    finds, count = [], Counter[str]()
    verifiers = [Verifier(MAPS, strategies=strategies, budget=FEW_STEPS) for strategies in (USUAL, COUNTED)]
    there = kernel.available()
    with kernel.kernel_maps(MAPS if there else {}) as maps:
        for number in range(seed, seed + WAVE):
            count["generated"] += 1
            try:
                verified = verifiers[number % 2].verify(program(random_program(number)))
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


def work(seconds: float, first: int, least: int) -> Iterator[Task]:
    """Generated programs and the corpus in turn, until the time is over and `least` programs are generated."""
    end = time.monotonic() + seconds
    flags = itertools.product(("-O1", "-O2", "-O3"), ("v1", "v2", "v3"))
    known: Iterator[Task] = itertools.chain(((corpus, name) for name in NAMES), ((variants, each) for each in flags))
    for seed in itertools.count(first, WAVE):
        if seed - first >= least and time.monotonic() > end:
            break
        yield generated, seed
        yield from itertools.islice(known, 1)
    if least:
        yield from known


def main(seconds: float, seed: int, least: int = 0) -> int:
    """Run for that long, and at least so many generated programs and all of the corpus; the number of finds."""
    finds, count, tasks = 0, Counter[str](), work(seconds, seed, least)
    with ProcessPoolExecutor() as processes:
        while wave := list(itertools.islice(tasks, AT_ONCE)):
            for found, counted in [future.result() for future in [processes.submit(*task) for task in wave]]:
                count += counted
                finds += len(found)
                print(*found, sep="\n", end="\n" if found else "", flush=True)
    numbers = ", ".join(f"{number} {what}" for what, number in count.items())
    print(f"verifier: {numbers}; {finds} finds", flush=True)
    return finds
