"""Which objects the stack is taken apart into, and that they behave as one stack does."""

from dataclasses import replace

from appliance.ebpf.assembler import assemble
from appliance.ebpf.spec import MapSpec, MapType
from appliance.jit.collection import Collection
from appliance.jit.stack import offsets_are_known, stack_extents
from appliance.verifier.program import VerifiedProgram
from appliance.verifier.unverified import trust_without_proof
from appliance.verifier.verifier import Verifier
from hooks.xdp import FrameContext
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


def verified(text: str) -> VerifiedProgram:
    spec = collection_spec([SEEN], test=text)
    return Verifier(spec.maps).verify(spec.programs["test"])


def test_what_overlaps_is_one_object() -> None:
    program = verified(KEY_AND_SPILLS)
    assert offsets_are_known(program)
    assert stack_extents(program, program.facts.reachable) == ((-40, -36), (-32, -24), (-12, 0))


def test_memory_of_unknown_size_reaches_to_the_end_of_the_stack() -> None:
    program = verified("""
        *(u64 *)(r10 - 24) = 5
        *(u64 *)(r10 - 8) = 5
        r1 = 0
        r2 = 0
        r3 = r10
        r3 += -24
        r4 = 8
        r5 = 0
        call csum_diff
        r0 = 2
        exit
    """)
    assert not offsets_are_known(program)  # null has no offset, and is not known from a pointer that has none
    program = verified("""
        *(u64 *)(r10 - 24) = 5
        *(u64 *)(r10 - 32) = 5
        r1 = r10
        r1 += -24
        r2 = 8
        r3 = r1
        r4 = 8
        r5 = 0
        call csum_diff
        r0 = 2
        exit
    """)
    assert stack_extents(program, program.facts.reachable) == ((-32, -24), (-24, 0))


def test_an_access_at_a_computed_offset_keeps_the_stack_whole() -> None:
    assert not offsets_are_known(verified(ANY_SLOT))


def test_a_computed_offset_finds_the_slot() -> None:
    with Collection.load(collection_spec(test=ANY_SLOT), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext(ingress_ifindex=0)) == 2
        assert run_loaded(loaded, "test", FrameContext(ingress_ifindex=8)) == 1


def test_a_program_without_proof_keeps_its_stack_whole() -> None:
    spec = collection_spec(test="r0 = 1; exit").programs["test"]
    for text in ("*(u64 *)(r10 - 8) = 1; r0 = 1; exit", "call get_prandom_u32; exit"):
        assert not offsets_are_known(trust_without_proof(replace(spec, instructions=assemble(text))))


def test_pieces_hold_what_was_stored() -> None:
    """A narrow store into a wide one, a spilled context pointer, and a key beside them."""
    with Collection.load(collection_spec([SEEN], test=KEY_AND_SPILLS), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext()) == 7 & 3


def test_a_callers_slot_is_reached_from_a_subprogram() -> None:
    text = """
        *(u64 *)(r10 - 8) = 1
        r1 = r10
        r1 += -8
        call set
        r0 = *(u64 *)(r10 - 8)
        exit
    set:
        *(u64 *)(r10 - 8) = 3
        r2 = *(u64 *)(r10 - 8)
        *(u64 *)(r1 + 0) = r2
        r0 = 0
        exit
    """
    with Collection.load(collection_spec(test=text), loops=run_loops) as loaded:
        assert run_loaded(loaded, "test", FrameContext()) == 3
