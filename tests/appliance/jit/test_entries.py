"""Which programs may write into frames."""

from __future__ import annotations

import pytest
from llvmlite import ir

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.spec import CollectionSpec, ProgramSpec
from appliance.jit.collection import Collection
from appliance.jit.entries import Entries
from hooks.contracts.xdp import XDP_LINUX

BOUNDED = """
    r6 = r1
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 34
    if r4 > r3 goto end
    {}
end:
    r0 = 2
    exit
"""


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("r5 = *(u16 *)(r2 + 12)", False),
        ("r5 = *(u16 *)(r2 + 12)\n*(u64 *)(r10 - 8) = r5", False),
        ("r5 = 1\nr2 += 1\n*(u8 *)(r2 + 12) = r5", True),
        ("r5 = *(u8 *)(r2 + 13)\nif r5 == 1 goto some\nr2 = r10\nr2 += -8\nsome:\n*(u8 *)(r2 + 0) = r5", True),
        ("r1 = r6\nr2 = 0\n*(u64 *)(r10 - 8) = r2\nr3 = r10\nr3 += -8\nr4 = 6\ncall xdp_load_bytes", False),
        ("r1 = r6\nr3 = r2\nr2 = 0\nr4 = 6\ncall xdp_load_bytes", True),
        ("r1 = r6\nr2 = 0\n*(u64 *)(r10 - 8) = r2\nr3 = r10\nr3 += -8\nr4 = 6\ncall xdp_store_bytes", True),
    ],
    ids=["load", "stack", "store", "one path", "load to the stack", "load into the frame", "store bytes"],
)
def test_who_may_write(text: str, writes: bool) -> None:
    found: list[frozenset[str]] = []

    def loops(module: ir.Module, programs: Entries) -> None:
        found.append(programs.writers)

    spec = ProgramSpec("p", "xdp", XDP_LINUX, assemble(BOUNDED.format(text)))
    Collection.load(CollectionSpec("t.o", "linux", {"p": spec}, {}), loops=loops).close()
    assert found == [frozenset({"p"} if writes else ())]
