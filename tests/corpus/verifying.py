"""What becomes of mutants: rejected, or accepted and then held to it, by runs in a hostile world and by Linux."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from appliance.ebpf.spec import CollectionSpec, ProgramSpec
from appliance.verifier import Rejected, Verifier
from appliance.verifier.budget import Budget
from appliance.verifier.exploration.attempt import Strategy
from tests.appliance.verifier import kernel
from tests.corpus.corpus import loaded, object_of
from tests.corpus.hostile import faults
from tests.corpus.linux_says import alike, ending, explained
from tests.corpus.mutants import Mutant, mutants

# A mutant that turns a loop into an endless one is not worth all the steps that an honest program may take.
STRATEGIES = (Strategy(1, 30_000), Strategy(8, 90_000, rounds=16))
FEW_STEPS = partial(Budget, 120_000)


def programs_of(name: str) -> tuple[ProgramSpec, CollectionSpec]:
    """The good program of a pair, and where it comes from."""
    collection = loaded(object_of(name, "good"))
    (program,) = collection.programs.values()
    return program, collection


def judge(name: str, chosen: Iterable[Mutant] | None, runs: int, count: Counter[str]) -> Iterator[str]:
    """What is wrong with accepted mutants of a pair's good program; `chosen` are all if None. Counts what it sees."""
    program, collection = programs_of(name)
    there = kernel.available()
    with kernel.kernel_maps(collection.maps if there else {}) as maps:
        own = kernel.refusal(program, maps) if there else None
        for mutant in mutants(program) if chosen is None else chosen:
            count["mutants"] += 1
            try:
                verified = Verifier(collection.maps, strategies=STRATEGIES, budget=FEW_STEPS).verify(mutant.spec)
            except Rejected:
                count["rejected"] += 1
                continue
            words = f"{name}, instruction {mutant.index}, {mutant.change}"
            chance = random.Random(words)
            yield from (f"{words}: {fault}" for fault in faults(mutant.spec, collection.maps, chance, runs))
            if not there:
                count["accepted, Linux not asked"] += 1
                continue
            refusal = kernel.refusal(mutant.spec, maps)
            if refusal is None:
                count["accepted by both"] += 1
            elif explained(verified, refusal):
                count["accepted, Linux's rejection explained"] += 1
            elif own is not None and alike(own, refusal):
                count["accepted, rejected by Linux as the program itself"] += 1
            else:
                yield f"{words}: Linux rejects it: {ending(refusal)}"
