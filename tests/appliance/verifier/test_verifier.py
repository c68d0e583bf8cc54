"""What the verifier hands on, what it says, and that it takes what clang and the rule compiler make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from appliance.ebpf.isa.instructions import Instruction, Jump
from appliance.ebpf.objects.objects import load_object
from appliance.errors import InputRefused, SourceLine
from appliance.helpers.prototypes import ArgumentKind
from appliance.verifier import Access, CallFacts, Region, Rejected, Unsupported, VerifiedProgram, Verifier
from appliance.verifier.budget import Budget
from appliance.verifier.checks.calls import helper_calls
from appliance.verifier.checks.demands import DEMANDS
from appliance.verifier.checks.transfer import TRANSFERS
from appliance.verifier.exploration.attempt import EVERY_ITERATION, MOST_PAST, Attempt, Strategy
from appliance.verifier.exploration.refused import Refused
from appliance.verifier.program import Facts
from hooks.contracts.xdp import XDP_WINDOWS
from tests.appliance.verifier.support import MAPS, program

PROGRAMS = sorted((Path(__file__).parents[3] / "programs").glob("*.o"))


def verify(code: str) -> VerifiedProgram:
    return Verifier(MAPS).verify(program(code))


def rejected(code: str) -> Rejected:
    with pytest.raises(Rejected) as refused:
        verify(code)
    return refused.value


def test_facts_of_accesses() -> None:
    facts = verify("""
        r2 = *(u32 *)(r1 + 0)
        r3 = *(u32 *)(r1 + 4)
        r4 = r2
        r4 += 14
        if r4 > r3 goto out
        r5 = *(u8 *)(r2 + 13)
        *(u64 *)(r10 - 8) = r5
        r5 = r10
        r5 += -8
        r5 = *(u64 *)(r5 + 0)
        r5 = map[globals][0] + 4 ll
        *(u32 *)(r5 + 0) = 1
        out:
        r0 = 2
        exit
    """).facts
    assert facts.accesses == {
        0: Access(Region.CONTEXT, 0),
        1: Access(Region.CONTEXT, 4),
        5: Access(Region.PACKET),
        6: Access(Region.STACK, -8),
        9: Access(Region.STACK, -8),
        11: Access(Region.MAP_VALUE, None, "globals"),
    }
    assert facts.reachable == frozenset(range(14))


def test_facts_of_calls() -> None:
    facts = verify("""
        *(u64 *)(r10 - 8) = 0
        r2 = r10
        r2 += -8
        r1 = map[flows] ll
        call map_lookup_elem
        r0 = 2
        exit
    """).facts
    assert facts.calls == {4: CallFacts("map_lookup_elem", ("flows",), (None, Access(Region.STACK, -8)))}


def test_facts_hold_on_every_path() -> None:
    """One store, to the stack on one path and to a map value on the other; one lookup, of two maps."""
    facts = verify("""
        r6 = *(u32 *)(r1 + 12)
        *(u64 *)(r10 - 8) = 0
        r3 = r10
        r3 += -8
        r1 = map[counters] ll
        if r6 == 0 goto store
        r3 = map[globals][0] + 0 ll
        r1 = map[flows] ll
        store:
        *(u64 *)(r3 + 0) = 0
        r2 = r10
        r2 += -8
        r6 = *(u64 *)(r2 + 0)
        call map_lookup_elem
        r0 = 2
        exit
    """).facts
    assert 8 not in facts.accesses
    assert facts.accesses[11] == Access(Region.STACK, -8)
    assert facts.calls[12] == CallFacts("map_lookup_elem", ("counters", "flows"), (None, Access(Region.STACK, -8)))


def test_the_stack_of_a_caller_has_no_offset_in_the_callee() -> None:
    facts = verify("""
        r1 = r10
        r1 += -8
        call helper
        r0 = 2
        exit
        helper:
        *(u64 *)(r10 - 8) = 1
        *(u64 *)(r1 + 0) = 1
        r0 = 0
        exit
    """).facts
    assert facts.accesses == {5: Access(Region.STACK, -8), 6: Access(Region.STACK)}


def test_what_cannot_run_is_not_reachable() -> None:
    assert verify("r0 = 2; if r0 == 2 goto out; r0 = 1; out: exit").facts.reachable == {0, 1, 3}


def test_a_message_has_place_instruction_knowledge_and_hint() -> None:
    spec = program("r2 = *(u32 *)(r1 + 0); r0 = 0x100000000 ll; r0 = *(u8 *)(r2 + 12); exit", "first")
    spec = replace(spec, lines={2: SourceLine("filter.bpf.c", 7, 12, "  return eth->h_dest[0];")})
    with pytest.raises(Rejected) as refused:
        Verifier(MAPS).verify(spec)
    assert isinstance(refused.value, InputRefused)
    assert str(refused.value) == (
        "filter.bpf.c:7:12: reads byte 12 past `data`, but none are known to be inside on this path\n"
        "  at slot 3 of `first`: r0 = *(u8 *)(r2 + 12)\n"
        "  source: return eth->h_dest[0];\n"
        "  known: r2 is a pointer to the packet, with no bytes from `data` on known to be inside\n"
        "  how it came to that:\n"
        "    slot 0: `r2 = *(u32 *)(r1 + 0)`: r2 is a pointer to the packet, with no bytes from `data` on known to be "
        "inside\n"
        "  hint: compare first: `if (pointer + 13 > data_end) return …`, with the same pointer\n"
        "  see: docs/rejections/packet-bounds.md, or: tidegate explain packet-bounds"
    )
    report = refused.value.report
    assert (report.program, report.section, report.index, report.slot) == ("first", "xdp", 2, 3)
    assert report.source == SourceLine("filter.bpf.c", 7, 12, "  return eth->h_dest[0];")


def test_without_source_lines_the_program_is_named() -> None:
    assert str(rejected("r0 = 2")).startswith("program `test`: runs off the end of the program\n  at slot 0 of `test`:")


@pytest.mark.parametrize("code", ["call kernel 3; exit", "r6 = r1; r0 = *(u8 *)skb[0]; exit", "call 9999; exit"])
def test_what_comes_later_is_unsupported(code: str) -> None:
    assert type(rejected(code)) is Unsupported


def test_an_empty_program_and_a_jump_outside() -> None:
    with pytest.raises(Rejected, match="has no instructions"):
        Verifier(MAPS).verify(replace(program("exit"), instructions=()))
    with pytest.raises(Rejected, match="jumps out of the program"):
        Verifier(MAPS).verify(replace(program("exit"), instructions=(Jump(7),)))


def test_a_helper_of_another_hook() -> None:
    spec = program("r2 = 0; call xdp_adjust_head; r0 = 2; exit")
    spec = replace(spec, hook=replace(spec.hook, families=frozenset({"general"})))
    with pytest.raises(Rejected, match="calls `xdp_adjust_head`, which programs of hook `xdp` may not call"):
        Verifier(MAPS).verify(spec)


def test_a_map_that_is_not_there() -> None:
    with pytest.raises(Rejected, match="uses the map `flows`, which the collection does not have"):
        Verifier({}).verify(program("r1 = map[flows] ll; r0 = 2; exit"))


def test_the_budget_is_named_with_the_loop() -> None:
    verifier = Verifier(MAPS, budget=lambda instructions: Budget(1000))
    with pytest.raises(Rejected) as refused:
        verifier.verify(program("r2 = 0; again: r2 += 3; if r2 != 9998 goto again; exit"))
    assert refused.value.report.demand == "takes more than 1000 steps to explore; this loop went through 118 iterations"


def test_the_budget_is_named_with_the_place_of_the_states() -> None:
    halves = "".join(f"if r3 & {1 << n} goto a{n}; r2 += {1 << n}; a{n}: " for n in range(8))
    with pytest.raises(Rejected) as refused:
        verifier = Verifier(MAPS, strategies=(Strategy(256, 9999),), budget=lambda instructions: Budget(1500))
        verifier.verify(program(f"r3 = *(u32 *)(r1 + 12); r2 = 0; {halves} exit"))
    report = refused.value.report
    assert report.demand == "takes more than 1500 steps to explore; 64 different states came here"
    assert report.hint is not None
    assert "split the program by tail calls" in report.hint


def test_time_is_a_budget_too() -> None:
    ticks = iter((0.0, 1.0, 2.0, 3.5))
    attempt = Attempt.of(Strategy(1, 1000), Budget(seconds=3, clock=lambda: next(ticks)), 10)
    attempt.spend(1, 8, 0)
    attempt.spend(2, 8, 5)
    with pytest.raises(Refused, match=r"^takes more than 3 seconds to explore; 2 different states came here$"):
        attempt.spend(1, 8, 7)


def test_more_effort_keeps_branches_apart() -> None:
    """Joined, nothing is known of r3 where r2 is not 0: the second effort has to see both paths."""
    code = """
        r2 = *(u32 *)(r1 + 12)
        r3 = 7
        if r2 == 0 goto join
        r3 = r1
        join:
        r0 = 2
        if r2 == 0 goto out
        r0 = *(u32 *)(r3 + 16)
        r0 &= 1
        out:
        exit
    """
    verify(code)
    with pytest.raises(Rejected):
        Verifier(MAPS, strategies=(Strategy(1, 1000),)).verify(program(code))


def test_programs_that_differ_in_names_alone_are_proved_once() -> None:
    one = program("r0 = 2\nexit")
    verifier = Verifier(MAPS)
    facts = verifier.verify(one).facts
    other = replace(one, name="other", functions={0: "other"})
    assert verifier.verify(other).facts is facts
    assert verifier.verify(other).spec is other
    assert verifier.verify(program("r0 = 1\nexit")).facts is not facts
    assert verifier.verify(replace(one, hook=XDP_WINDOWS)).facts is not facts
    assert Verifier(MAPS).verify(one).facts is not facts


def test_the_tables_are_total() -> None:
    assert set(DEMANDS) == set(get_args(Instruction))
    assert set(TRANSFERS) <= set(DEMANDS)
    assert set(helper_calls.ARGUMENT_RULES) == set(ArgumentKind)


def test_only_the_verifier_makes_verified_programs() -> None:
    with pytest.raises(TypeError, match="by nothing else"):
        VerifiedProgram(object(), program("exit"), {}, Facts(), 0.0)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_our_programs_are_accepted(path: Path) -> None:
    collection = load_object(path.read_bytes(), str(path), None)
    assert collection.programs
    for spec in collection.programs.values():
        Verifier(collection.maps).verify(spec)


def test_states_that_wait_are_a_budget_too() -> None:
    attempt = Attempt.of(Strategy(1, 1000), Budget(states=2), 10)
    attempt.spend(1, 8, 5)
    attempt.wait(2)
    attempt.wait(-1)
    with pytest.raises(
        Refused, match=r"^takes more than 2 states at one time to explore; 1 different states came here$"
    ):
        attempt.wait(2)


def test_the_past_is_forgotten_where_it_is_too_much() -> None:
    attempt = Attempt.of(Strategy(1, 1000), Budget(), 10)
    assert attempt.keep(MOST_PAST)
    assert not attempt.keep(1)
    assert attempt.keep(1)


def test_an_attempt_that_knows_all_may_spend_more_than_its_share() -> None:
    code = "r2 = 0; again: r2 += 3; if r2 != 3000 goto again; r0 = 2; exit"
    verifier = Verifier(MAPS, strategies=(Strategy(1, 100, walked=EVERY_ITERATION - 1), Strategy(4, 100)))
    verifier.verify(program(code))
