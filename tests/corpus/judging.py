"""What becomes of mutants: rejected, or accepted and then held to it, by runs in a hostile world and by Linux."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator

from appliance.ebpf.spec import CollectionSpec, ProgramSpec
from appliance.verifier import Rejected, Verifier
from appliance.verifier.effort import Attempt
from tests.appliance.verifier import kernel
from tests.corpus.corpus import loaded, object_of
from tests.corpus.hostile import faults
from tests.corpus.mutants import Mutant, mutants

# A mutant that turns a loop into an endless one is not worth all the steps that an honest program may take.
ATTEMPTS = (Attempt(1, 30_000), Attempt(8, 90_000, rounds=16))

# What Linux wants beyond safety, or doesn't follow: its words, and why we do otherwise.
EXPLAINED: dict[str, str] = {
    "unreachable insn": "Linux wants no instruction that no jump leads to",
    "invalid bpf_context access off=20": "`egress_ifindex` is for programs behind a devmap alone; here it is 0",
    "misaligned stack access": "numbers on the stack must be aligned; here they need not be",
    "BPF program is too large": "Linux walks more of the paths one by one, and gives up after a million steps",
    "unbounded min value is not allowed": "Linux knows no bound of the index that `bpf_loop` gives",
}


def programs_of(name: str) -> tuple[ProgramSpec, CollectionSpec]:
    """The good program of a pair, and where it comes from."""
    collection = loaded(object_of(name, "good"))
    (program,) = collection.programs.values()
    return program, collection


@contextlib.contextmanager
def linux(program: ProgramSpec, collection: CollectionSpec) -> Iterator[dict[str, int] | None]:
    """The maps in the kernel, None if it is not there or doesn't take the program itself."""
    if not kernel.available() or any(spec.lock is not None for spec in collection.maps.values()):
        yield None  # values with a lock have a type, which only libbpf tells the kernel
        return
    with kernel.kernel_maps(collection.maps) as maps:
        yield maps if kernel.refusal(program, maps) is None else None


def judge(name: str, chosen: Iterable[Mutant] | None, runs: int, count: Counter[str]) -> Iterator[str]:
    """What is wrong with accepted mutants of a pair's good program; `chosen` are all if None. Counts what it sees."""
    program, collection = programs_of(name)
    with linux(program, collection) as maps:
        for mutant in mutants(program) if chosen is None else chosen:
            count["mutants"] += 1
            try:
                Verifier(collection.maps, attempts=ATTEMPTS).verify(mutant.spec)
            except Rejected:
                count["rejected"] += 1
                continue
            words = f"{name}, instruction {mutant.index}, {mutant.change}"
            chance = random.Random(words)
            yield from (f"{words}: {fault}" for fault in faults(mutant.spec, collection.maps, chance, runs))
            if maps is None:
                count["accepted, Linux not asked"] += 1
                continue
            refusal = kernel.refusal(mutant.spec, maps)
            if refusal is None:
                count["accepted by both"] += 1
            elif any(reason in refusal for reason in EXPLAINED):
                count["accepted, Linux's rejection explained"] += 1
            else:
                yield f"{words}: Linux rejects it: {refusal}"
