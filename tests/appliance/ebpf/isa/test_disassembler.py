"""Listings as a person reads them."""

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.disassembler import disassemble
from appliance.ebpf.platform import WINDOWS
from appliance.errors import SourceLine

PROGRAM = """
    r6 = *(u32 *)(r1 + 0)
    *(u32 *)(r10 - 4) = 0
    r2 = r10; r2 += -4
    r1 = map[counters] ll
    call map_lookup_elem
    if r0 == 0 goto out
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
out:
    w0 = 2
    exit
"""


def test_a_listing_with_source_lines() -> None:
    first, second = SourceLine("filter.c", 12, 5, "  count();"), SourceLine("filter.c", 14)
    listing = disassemble(assemble(PROGRAM), {0: first, 1: first, 4: first, 9: second})
    assert listing == [
        "; filter.c:12:5: count();",
        "     0: r6 = *(u32 *)(r1 + 0)",
        "     1: *(u32 *)(r10 - 4) = 0",
        "     2: r2 = r10",
        "     3: r2 += -4",
        "     4: r1 = map[counters] ll",
        "     6: call map_lookup_elem",
        "     7: if r0 == 0 goto L10",
        "     8: r1 = 1",
        "     9: lock *(u64 *)(r0 + 0) += r1",
        "; filter.c:14",
        "L10:",
        "    10: w0 = 2",
        "    11: exit",
    ]


def test_helpers_have_the_platform_s_names() -> None:
    assert disassemble(assemble("call 9; call 99; exit"), platform=WINDOWS) == [
        "     0: call ktime_get_ns",
        "     1: call 99",
        "     2: exit",
    ]
