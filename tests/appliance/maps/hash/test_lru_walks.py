"""A program's walk over an LRU hash is no use of its entries: what it only walked over goes first, as in Linux."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from tests.appliance.maps.three_engines import by_interpreter, by_jit, by_linux, collection_of
from tests.capabilities import require

ENTRIES, USED, NEW = 1024, 512, 256

# Fill the map, look half of the entries up, walk over all of them, and put others in. Then the answer is how many of
# the entries that were looked up are there still, and, 32 bits further up, how many of the others.
PROGRAM = f"""
    *(u64 *)(r10 - 8) = 0
    r1 = {ENTRIES}; r2 = func put ll; r3 = r10; r3 += -8; r4 = 0; call loop
    r1 = {USED}; r2 = func use ll; r3 = r10; r3 += -8; r4 = 0; call loop
    r1 = map[m] ll; r2 = func pass ll; r3 = r10; r3 += -8; r4 = 0; call for_each_map_elem
    *(u64 *)(r10 - 8) = 100000
    r1 = {NEW}; r2 = func put ll; r3 = r10; r3 += -8; r4 = 0; call loop
    *(u64 *)(r10 - 16) = 0
    r1 = {USED}; r2 = func use ll; r3 = r10; r3 += -16; r4 = 0; call loop
    *(u64 *)(r10 - 24) = 0
    r1 = {ENTRIES}; r2 = func use ll; r3 = r10; r3 += -24; r4 = 0; call loop
    r7 = *(u64 *)(r10 - 24); r6 = *(u64 *)(r10 - 16); r7 -= r6; r7 <<= 32; r7 |= r6
    *(u32 *)(r10 - 28) = 0; r2 = r10; r2 += -28; r1 = map[answer] ll; call map_lookup_elem
    if r0 == 0 goto out
    *(u64 *)(r0 + 0) = r7
    out: r0 = 2; exit
    put:
    r2 = *(u64 *)(r2 + 0); r1 += r2; *(u64 *)(r10 - 8) = r1
    r1 = map[m] ll; r2 = r10; r2 += -8; r3 = r10; r3 += -8; r4 = 0; call map_update_elem
    r0 = 0; exit
    use:
    r6 = r2; *(u64 *)(r10 - 8) = r1; r1 = map[m] ll; r2 = r10; r2 += -8; call map_lookup_elem
    if r0 == 0 goto gone
    r1 = *(u64 *)(r6 + 0); r1 += 1; *(u64 *)(r6 + 0) = r1
    gone: r0 = 0; exit
    pass: r0 = 0; exit
"""


def collection(type_: MapType) -> CollectionSpec:
    test = ProgramSpec("test", "xdp", LINUX.hooks[0], assemble(PROGRAM, LINUX))
    return collection_of(test, MapSpec("m", type_, 8, 8, ENTRIES))


@pytest.mark.parametrize("type_", [MapType.LRU_HASH, MapType.LRU_PERCPU_HASH])
@pytest.mark.parametrize("engine", [by_jit, by_interpreter, by_linux])
def test_what_was_only_walked_over_goes_first(engine: Callable[[CollectionSpec], int], type_: MapType) -> None:
    if engine is by_linux:
        require("bpf")
    spared = USED // 16 if engine is by_linux else 0  # it frees some more than it needs, at the end of a list
    answer = engine(collection(type_))
    used, walked = answer & 0xFFFFFFFF, answer >> 32
    assert used >= USED - spared
    assert walked <= ENTRIES - USED - NEW + spared
