"""What a load costs: maps opened, programs proved, code made and linked; and the same load once more.

Programs of 500 instructions in three shapes. Every first load is of a program that nobody has seen: one constant in it
is new each time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count

from appliance.datapath.test_run import export_programs
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.jit.collection import Collection
from hooks.contracts.xdp import XDP_LINUX
from tests.bench.figures import Bench, Compared, Figure, Target

INSTRUCTIONS = 500
LOADS = 11
FIRST, AGAIN = Target(Compared.VALUE, at_most=60), Target(Compared.VALUE, at_most=5)
MAPS = (
    MapSpec("flows", MapType.HASH, 8, 16, 4096),
    MapSpec("counts", MapType.ARRAY, 4, 8, 256),
    MapSpec("seen", MapType.LRU_HASH, 4, 8, 4096),
)
_START = """
    r6 = *(u32 *)(r1 + 0); r7 = *(u32 *)(r1 + 4)
    r2 = r6; r2 += 64
    if r2 > r7 goto out
    r8 = {unique}
"""
_END = "out: r0 = 2; exit"
_numbers = count()


def _arithmetic(number: int) -> str:
    operations = ("r8 += r9", "r8 ^= {n}", "r8 *= 7", "w8 >>= 3", "r8 |= r9")
    return f"r9 = *(u32 *)(r6 + {number * 4 % 60}); " + operations[number % len(operations)].format(n=number)


def _branches(number: int) -> str:
    return (
        f"r9 = *(u8 *)(r6 + {number % 64}); if r9 != {number % 256} goto at{number}; r8 += r9; at{number}: r8 &= 65535"
    )


def _lookups(number: int) -> str:
    name, update = MAPS[number % len(MAPS)].name, "r9 = *(u64 *)(r0 + 0); r9 += r8; *(u64 *)(r0 + 0) = r9"
    key = f"r9 = *(u64 *)(r6 + {number % 8 * 4}); *(u64 *)(r10 - 8) = r9"
    call = f"r2 = r10; r2 += -8; r1 = map[{name}] ll; call map_lookup_elem"
    return f"{key}; {call}; if r0 == 0 goto at{number}; {update}; at{number}: r8 += 1"


SHAPES: Mapping[str, Callable[[int], str]] = {"arithmetic": _arithmetic, "branches": _branches, "lookups": _lookups}


def _collection(shape: Callable[[int], str]) -> CollectionSpec:
    """A program that is new, of as many steps as fit into INSTRUCTIONS."""
    steps = _START.format(unique=next(_numbers))
    for number in count():
        more = f"{steps}\n{shape(number)}"
        if len(assemble(f"{more}\n{_END}")) > INSTRUCTIONS:
            break
        steps = more
    program = ProgramSpec("measured", "xdp", XDP_LINUX, assemble(f"{steps}\n{_END}"))
    return CollectionSpec("bench.o", "linux", {"measured": program}, {each.name: each for each in MAPS})


def main(bench: Bench) -> Iterator[Figure]:
    for name, shape in SHAPES.items():
        first: list[float] = []
        again: list[float] = []
        for _ in range(LOADS):
            spec = _collection(shape)
            for samples in (first, again):
                samples.append(_load(spec))
        yield _figure(f"load, {INSTRUCTIONS} instructions, {name}", first, FIRST)
        yield _figure(f"load again, {INSTRUCTIONS} instructions, {name}", again, AGAIN)


def _load(spec: CollectionSpec) -> float:
    """Milliseconds until programs and maps are ready."""
    began = time.perf_counter()
    with Collection.load(spec, loops=export_programs):
        return (time.perf_counter() - began) * 1000


def _figure(name: str, samples: list[float], target: Target) -> Figure:
    middle, slowest = statistics.median(samples), max(samples)
    return Figure(name, middle, "ms", target=target, remark=f"slowest {slowest:.1f} ms", samples={"loads": samples})
