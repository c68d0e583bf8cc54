"""What the optimiser makes of a program: that the verifier's facts arrive where they save work."""

import re

from appliance.ebpf.spec import MapSpec
from appliance.jit.collection import Collection
from tests.appliance.jit.counting import COUNT, HITS
from tests.appliance.jit.support import collection_spec, run_loops

COUNT_BY_FIRST_BYTE = """
    r0 = 1
    r6 = *(u32 *)(r1 + 0)
    r7 = *(u32 *)(r1 + 4)
    *(u64 *)(r10 - 16) = r6
    r2 = r6
    r2 += 14
    if r2 > r7 goto out
    r6 = *(u64 *)(r10 - 16)
    r2 = *(u8 *)(r6 + 0)
    *(u32 *)(r10 - 4) = r2
    r2 = r10
    r2 += -4
    r1 = map[hits] ll
    call map_lookup_elem
    if r0 == 0 goto pass
    r1 = *(u64 *)(r0 + 0)
    r1 += 1
    *(u64 *)(r0 + 0) = r1
pass:
    r0 = 2
out:
    exit
"""


def optimised(program: str, maps: list[MapSpec]) -> tuple[str, Collection]:
    """The body of the loop around the program, its temporaries and addresses renamed to what a person can read."""
    loaded = Collection.load(collection_spec(maps, test=program), loops=run_loops)
    (body,) = re.findall(r"define [^\n]*@run_test\([^\n]*{\n(.*?)\n}", loaded.engine.optimised(), re.DOTALL)
    return body, loaded


def test_a_lookup_with_a_known_key_is_an_address() -> None:
    """Stack slot, call, bounds check and null check are gone."""
    body, loaded = optimised(COUNT, [HITS])
    place = "getelementptr inbounds nuw (i8, ptr @memory.hits, i64 24)"
    with loaded:
        assert re.sub(r"%[\w.]+", "%old", body).splitlines() == [
            "entry:",
            f"  %old = atomicrmw add ptr {place}, i64 1 monotonic, align 8",
            "  ret i64 2",
        ]


def test_spilled_pointers_and_keys_become_registers() -> None:
    """What remains reads the frame and counts: no stack, no call, one bounds check of the frame, one of the index."""
    body, loaded = optimised(COUNT_BY_FIRST_BYTE, [HITS])
    with loaded:
        assert "alloca" not in body
        assert "call" not in body
        assert body.count(" = load ") == 4  # data, data_end, the byte, the counter
        assert body.count("store ") == 1
        assert body.count(" icmp ") == 2


BOUNDED_BY_A_MAP = """
    *(u32 *)(r10 - 4) = 1
    r2 = r10
    r2 += -4
    r1 = map[hits] ll
    call map_lookup_elem
    if r0 == 0 goto out
    r1 = *(u64 *)(r0 + 0)
    if r1 > 7 goto out
    r0 += r1
    r0 = *(u8 *)(r0 + 0)
    exit
out:
    r0 = 2
    exit
"""


def test_a_number_that_others_may_write_is_read_once() -> None:
    """What was compared with the bound is what is added to the pointer, whoever writes to the map meanwhile."""
    body, loaded = optimised(BOUNDED_BY_A_MAP, [HITS])
    with loaded:
        read = re.search(r"(%\S+) = load i64, [^\n]*\n\s+(%\S+) = freeze i64 \1\n", body)
        assert read is not None, body
        assert len(re.findall(re.escape(read[1]) + r"\b(?!\.)", body)) == 2, "used by the freeze alone"
