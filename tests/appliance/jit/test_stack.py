"""Which objects the stack is taken apart into, and that they behave as one stack does."""

import re
from dataclasses import replace

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.jit.collection import Collection
from appliance.jit.control_flow import find_body
from appliance.jit.stack import UNKNOWN, StackLayout, stack_layout
from appliance.verifier.unverified import trust_without_proof
from appliance.verifier.verifier import Verifier
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.support import collection_spec, run_loaded, run_loops

SEEN = MapSpec("seen", MapType.HASH, 12, 8, 16)

KEY_AND_SPILLS = """
    r6 = r1
    *(u64 *)(r10 - 32) = r6
    *(u64 *)(r10 - 12) = 1
    *(u32 *)(r10 - 4) = 2
    *(u32 *)(r10 - 40) = 7
    *(u16 *)(r10 - 38) = 9
    r2 = r10
    r2 += -12
    r1 = map[seen] ll
    call map_lookup_elem
    r6 = *(u64 *)(r10 - 32)
    r0 = *(u32 *)(r10 - 40)
    r0 &= 3
    r1 = *(u32 *)(r6 + 12)
    exit
"""

ANY_SLOT = """
    *(u64 *)(r10 - 16) = 1
    *(u64 *)(r10 - 8) = 2
    r2 = *(u32 *)(r1 + 12)
    r2 &= 8
    r3 = r10
    r3 -= r2
    r0 = *(u64 *)(r3 - 8)
    r0 &= 3
    exit
"""


CALLERS_SLOT = """
    *(u64 *)(r10 - 8) = 1
    *(u64 *)(r10 - 16) = 7
    *(u64 *)(r10 - 32) = 2
    r1 = r10
    r1 += -8
    call set
    r0 = *(u64 *)(r10 - 8)
    r1 = *(u64 *)(r10 - 32)
    r0 *= r1
    r0 &= 3
    exit
set:
    *(u64 *)(r10 - 8) = 3
    r2 = *(u64 *)(r10 - 8)
    *(u64 *)(r1 + 0) = r2
    r0 = 0
    exit
"""


def layouts(text: str) -> list[StackLayout]:
    """Of the main program, and of the functions that it calls."""
    spec = collection_spec([SEEN], test=text)
    program = Verifier(spec.maps).verify(spec.programs["test"])
    found, pending = [], [0]
    for entry in pending:
        body = find_body(program.spec.instructions, entry, program.facts.reachable)
        found.append(stack_layout(program, entry, body.indices))
        pending += sorted(body.calls - set(pending))
    return found


def test_what_overlaps_is_one_object() -> None:
    assert layouts(KEY_AND_SPILLS) == [StackLayout(((-40, -36), (-32, -24), (-12, 0)))]


def test_a_helpers_memory_is_as_large_as_its_size_says() -> None:
    assert layouts("""
        *(u64 *)(r10 - 24) = 5
        *(u64 *)(r10 - 32) = 5
        *(u64 *)(r10 - 8) = 5
        r1 = r10
        r1 += -24
        r2 = 8
        r3 = r1
        r4 = 8
        r5 = 0
        call csum_diff
        r0 = *(u64 *)(r10 - 8)
        r0 = 2
        exit
    """) == [StackLayout(((-32, -24), (-24, -16), (-8, 0)))]


def test_null_on_one_path_and_the_stack_on_another_is_reached_through_the_pointer() -> None:
    assert layouts("""
        *(u64 *)(r10 - 24) = 5
        *(u64 *)(r10 - 8) = 5
        r2 = *(u32 *)(r1 + 12)
        r1 = 0
        r6 = 0
        if r2 == 0 goto call
        r1 = r10
        r1 += -24
        r6 = 8
    call:
        r2 = r6
        r3 = r10
        r3 += -24
        r4 = 8
        r5 = 0
        call csum_diff
        r0 = 2
        exit
    """) == [StackLayout(((-24, -16), (-8, 0)), frozenset({(-24, -16)}))]


def test_an_access_at_a_computed_offset_takes_what_it_may_reach() -> None:
    assert layouts(ANY_SLOT.replace("exit", "*(u64 *)(r10 - 40) = 5; exit")) == [StackLayout(((-40, -32), (-16, 0)))]


def test_a_computed_offset_finds_the_slot() -> None:
    with Collection.load(collection_spec(test=ANY_SLOT), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext(ingress_ifindex=0)) == 2
        assert run_loaded(loaded, "test", FrameContext(ingress_ifindex=8)) == 1


def test_what_a_callee_reaches_is_shared_and_no_more() -> None:
    caller, callee = layouts(CALLERS_SLOT)
    assert caller == StackLayout(((-32, -24), (-16, -8), (-8, 0)), frozenset({(-8, 0)}))
    assert callee == StackLayout(((-8, 0),))


def test_a_program_without_proof_keeps_its_stack_whole_and_clear() -> None:
    spec = collection_spec(test="r0 = 1; exit").programs["test"]
    for text in ("*(u64 *)(r10 - 8) = 1; r0 = 1; exit", "call get_prandom_u32; exit"):
        program = trust_without_proof(replace(spec, instructions=assemble(text)))
        assert stack_layout(program, 0, [0, 1]) == UNKNOWN


def test_pieces_hold_what_was_stored() -> None:
    """A narrow store into a wide one, a spilled context pointer, and a key beside them."""
    with Collection.load(collection_spec([SEEN], test=KEY_AND_SPILLS), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext()) == 7 & 3


def test_a_callers_slot_is_reached_from_a_subprogram() -> None:
    with Collection.load(collection_spec(test=CALLERS_SLOT), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext()) == 3 * 2 & 3


def test_a_slot_behind_one_of_two_frames_pointers() -> None:
    """Called with a pointer to its caller's frame, and to its caller's caller's: both see what was stored."""
    text = """
        *(u64 *)(r10 - 8) = 1
        *(u64 *)(r10 - 16) = 1
        r6 = r1
        r1 = r10
        r1 += -8
        call add
        r1 = r10
        r1 += -16
        call between
        r0 = *(u64 *)(r10 - 8)
        r1 = *(u64 *)(r10 - 16)
        r0 -= r1
        r0 &= 3
        exit
    between:
        *(u64 *)(r10 - 8) = 5
        r6 = r1
        r1 = r10
        r1 += -8
        call add
        r1 = r6
        call add
        r1 = r6
        call add
        r0 = *(u64 *)(r10 - 8)
        exit
    add:
        r2 = *(u64 *)(r1 + 0)
        r2 += 3
        *(u64 *)(r1 + 0) = r2
        r0 = 0
        exit
    """
    with Collection.load(collection_spec(test=text), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext()) == (4 - 7) & 3


def test_a_computed_index_leaves_the_rest_in_registers() -> None:
    """The array stays in memory, and of all else nothing does."""
    with Collection.load(collection_spec(test=ANY_SLOT), loops=run_loops) as loaded:
        (body,) = re.findall(r"define [^\n]*@run_test\([^\n]*{\n(.*?)\n}", loaded.engine.optimised(), re.DOTALL)
        assert [line.split(" = ")[1] for line in body.splitlines() if "alloca" in line] == ["alloca [16 x i8], align 8"]


def test_a_stack_pointer_is_not_null() -> None:
    text = """
        r1 = r10
        r0 = 2
        if r1 != 0 goto out
        r0 = 1
    out:
        exit
    """
    with Collection.load(collection_spec(test=text), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext()) == 2
