"""The path to a rejection: only what has a part in it, all of that, and in a person's words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.ebpf.isa.instructions import Branch, Jump, Register
from appliance.ebpf.objects.objects import load_object
from appliance.errors import SourceLine
from appliance.rules.code.compile import compile_rule_set
from appliance.rules.document.load import load_rule_set
from appliance.verifier import Rejected, Verifier
from appliance.verifier import budget as budgets
from appliance.verifier.budget import Budget
from appliance.verifier.exploration.attempt import Strategy
from appliance.verifier.reports.path import Role, Step, told
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Report
from tests.appliance.ebpf.compiling import compile_c
from tests.appliance.verifier.support import EVERY_MAP, load_cases, program


def report_of(code: str, **verifier: object) -> Report:
    """What is said of a bad program."""
    with pytest.raises(Rejected) as refused:
        Verifier(EVERY_MAP, **verifier).verify(program(code))  # type: ignore[arg-type]
    return refused.value.report


def steps_of(code: str) -> list[str]:
    return [str(step) for step in report_of(code).steps]


PACKET = "r6 = r1; r7 = *(u32 *)(r1 + 0); r8 = *(u32 *)(r1 + 4); r9 = *(u32 *)(r1 + 12);"


def test_branches_that_have_no_part_are_left_out() -> None:
    steps = report_of(f"""
        {PACKET} r0 = 2; if r9 == 7 goto out; if r9 > 100 goto out; r2 = r7; r2 += 14; if r2 > r8 goto out
        if r9 == 8 goto out; r3 = *(u8 *)(r7 + 20)
        out: exit
    """).steps
    assert [(step.slot, step.role) for step in steps] == [(1, Role.MADE), (9, Role.LEARNED)]
    assert steps[1].effect == "not taken, so 14 bytes from `data` on are known to be inside"


def test_a_number_is_followed_through_the_stack_to_where_it_was_bounded() -> None:
    assert steps_of(f"""
        {PACKET} r0 = 2; if r9 > 30 goto out; *(u64 *)(r10 - 8) = r9; call ktime_get_ns; r0 = 2
        r2 = *(u64 *)(r10 - 8); r1 = map[globals][0] + 0 ll; r1 += r2; r3 = *(u8 *)(r1 + 0)
        out: exit
    """) == [
        "slot 3: `r9 = *(u32 *)(r1 + 12)`: r9 is 0 to 4294967295",
        "slot 5: `if r9 > 30 goto L14`: not taken, so r9 is 0 to 30",
        "slot 10: `r1 = map[globals][0] + 0 ll`: r1 is a pointer to a value of map `globals` (16 bytes)",
        "slot 12: `r1 += r2`: r1 is a pointer to a value of map `globals` (16 bytes), 0 to 30 bytes from its start",
    ]


def test_a_call_that_makes_a_pointer_dead_is_named_with_what_was_known_of_it() -> None:
    assert steps_of(f"""
        {PACKET} r0 = 2; r2 = r7; r2 += 14; if r2 > r8 goto out
        r1 = r6; r2 = 0; call xdp_adjust_head; r3 = *(u8 *)(r7 + 0)
        out: exit
    """) == [
        "slot 1: `r7 = *(u32 *)(r1 + 0)`: r7 is a pointer to the packet, "
        "with no bytes from `data` on known to be inside",
        "slot 7: `if r2 > r8 goto L12`: not taken, so 14 bytes from `data` on are known to be inside",
        "slot 10: `call xdp_adjust_head`: r7, which was a pointer to the packet, is dead after `xdp_adjust_head`",
    ]


def test_a_branch_that_passes_by_where_a_register_is_set() -> None:
    assert steps_of(f"{PACKET} if r9 == 7 goto skip; r0 = 2; skip: r9 = 5; exit") == [
        "slot 0: `r6 = r1`: r0 is not set yet, and nothing sets it on this path",
        "slot 4: `if r9 == 7 goto L6`: taken, past slot 5, which sets r0",
    ]


def test_a_branch_that_passes_by_a_check() -> None:
    assert steps_of(f"""
        {PACKET} r0 = 2; if r9 == 7 goto skip; r2 = r7; r2 += 14; if r2 > r8 goto out
        skip: r3 = *(u8 *)(r7 + 0)
        out: exit
    """)[1:] == ["slot 5: `if r9 == 7 goto L9`: taken, past slot 8, which would show how much is inside"]


def test_a_branch_that_leads_to_the_wrong_value() -> None:
    assert steps_of(f"{PACKET} r0 = 2; if r9 != 7 goto out; r0 = r10; out: exit") == [
        "slot 5: `if r9 != 7 goto L7`: not taken, to slot 6",
        "slot 6: `r0 = r10`: r0 is a pointer to the stack",
    ]


def test_a_comparison_that_shows_nothing_is_told_with_its_reason() -> None:
    steps = steps_of(f"""
        {PACKET} r0 = 2; r9 &= 15; r2 = r7; r2 += r9; r3 = r2; r3 += 8; if r3 > r8 goto out; r4 = *(u8 *)(r7 + 0)
        out: exit
    """)
    assert steps[-1] == (
        "slot 10: `if r3 > r8 goto L12`: not taken: it shows what is inside behind r3 (a pointer to the packet, "
        "8 to 23 bytes from its start), which is another pointer"
    )


def test_a_join_is_told_with_both_of_its_ways() -> None:
    code = f"""
        {PACKET} r2 = 5; if r9 == 7 goto join; r2 = 40
        join: r3 = map[globals][0] + 0 ll; r3 += r2; r0 = *(u8 *)(r3 + 0); exit
    """
    steps = report_of(code, strategies=(Strategy(1, 10_000),)).steps
    assert [step.effect for step in steps if step.role is Role.JOINED] == [
        "paths meet: on this one r2 is 40, on another r2 is 5; so r2 is 5 to 40"
    ]


def test_the_calls_that_are_open_and_what_they_pass() -> None:
    assert steps_of("""
        r1 = 40; call first; r0 = 2; exit
        first: call second; exit
        second: r2 = map[globals][0] + 0 ll; r2 += r1; r0 = *(u8 *)(r2 + 0); exit
    """) == [
        "slot 0: `r1 = 40`: r1 is 40",
        "slot 1: `call L4`: calls `the function at slot 4`; r1 is 40",
        "slot 4: `call L6`: calls `the function at slot 6`; r1 is 40",
        "slot 6: `r2 = map[globals][0] + 0 ll`: r2 is a pointer to a value of map `globals` (16 bytes)",
        "slot 8: `r2 += r1`: r2 is a pointer to a value of map `globals` (16 bytes), at +40",
    ]


def test_a_record_and_the_branch_that_passes_by_where_it_is_given_back() -> None:
    assert steps_of(f"""
        {PACKET} r1 = map[events] ll; r2 = 8; r3 = 0; call ringbuf_reserve; if r0 == 0 goto out; if r9 == 7 goto out
        r1 = r0; r2 = 0; call ringbuf_discard
        out: r0 = 2; exit
    """) == [
        "slot 8: `call ringbuf_reserve`: a record of map `events` may be held",
        "slot 9: `if r0 == 0 goto L14`: not taken, so a record of map `events` is held",
        "slot 10: `if r9 == 7 goto L14`: taken, past slot 13, which gives it back",
    ]


def test_what_a_loop_compares_that_is_not_seen_to_end() -> None:
    assert steps_of(f"{PACKET} again: r3 = 1; if r9 != 7 goto again; r0 = 2; exit") == [
        "slot 3: `r9 = *(u32 *)(r1 + 12)`: r9 is 0 to 4294967295",
        "slot 5: `if r9 != 7 goto L4`: taken in every iteration; r9 is 0 to 4294967295",
    ]


def test_iterations_of_a_callback_that_came_before_are_not_forgotten() -> None:
    [case] = [case for case in load_cases() if case.name == "a saved pointer that an iteration replaces by a number"]
    assert case.steps is not None
    assert "of the path before, all that is known is that the caller's stack's byte -8 holds nothing" in case.steps[0]


def test_what_a_function_returns_is_followed_into_it() -> None:
    steps = steps_of("call answer; exit; answer: r0 = r10; exit")
    assert steps[0].startswith("slot 0: `call L2`: calls")


def test_a_loop_is_told_once() -> None:
    report = report_of("""
        r2 = 0; r3 = map[globals][0] + 0 ll
        again: r4 = r3; r4 += r2; r0 = *(u8 *)(r4 + 0); r2 += 1; if r2 < 30 goto again
        exit
    """)
    assert len(report.path) > 60
    assert [(step.slot, step.effect) for step in report.steps] == [
        (0, "r2 is 0"),
        (1, "r3 is a pointer to a value of map `globals` (16 bytes)"),
        (6, "r2 is 16"),
        (4, "r4 is a pointer to a value of map `globals` (16 bytes), at +16"),
    ]


def test_what_is_looked_at_is_bounded_and_the_way_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
        r2 = 0; r3 = map[globals][0] + 0 ll; r5 = 9
        again: r2 += 1; if r2 < 3000 goto again
        r3 += r5; r0 = *(u64 *)(r3 + 0); exit
    """
    whole = report_of(code)
    assert [step.slot for step in whole.steps] == [1, 3, 6]
    monkeypatch.setattr(budgets, "RESERVED_STEPS", 10)
    cut = report_of(code)
    assert cut.path == whole.path
    assert [step.slot for step in cut.steps] == [6]


WIDE = (Strategy(1 << 10, 5000),)


def test_a_budget_names_the_branches_that_the_states_come_from() -> None:
    ways = "".join(f"r3 = r9; r3 &= {1 << bit}; if r3 == 0 goto l{bit}; r2 += {1 << bit}; l{bit}:" for bit in range(10))
    report = report_of(f"{PACKET} r2 = 0; {ways} r0 = 2; exit", budget=lambda _: Budget(1000), strategies=WIDE)
    assert report.kind is Rejection.BUDGET
    assert report.path
    assert report.steps
    assert all(step.role is Role.SPREAD for step in report.steps)
    assert "states came to slot" in report.steps[0].effect


CARELESS = """
SEC("xdp") int careless(struct xdp_md *ctx) {
  unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  if (data + 14 > end)
    return XDP_PASS;
  if (data[12] != 8)
    return XDP_PASS;
  return data[30] == 8 ? XDP_PASS : XDP_DROP;
}
"""


def test_source_lines_of_c() -> None:
    spec = load_object(compile_c(CARELESS), "careless.o")
    with pytest.raises(Rejected) as refused:
        Verifier(spec.maps).verify(spec.programs["careless"])
    report = refused.value.report
    assert report.source is not None
    assert [report.source.line - step.source.line for step in report.steps if step.source is not None] == [5, 4]
    assert "\n".join(f"    {line}" for line in told(report.steps)) in str(report)


def test_source_lines_of_rules(tmp_path: Path) -> None:
    rules = tmp_path / "guard.yaml"
    rules.write_text("version: 1\nrules:\n  - {id: web, match: {tcp.dport: 80}, action: drop}\n")
    spec = load_object(compile_rule_set(load_rule_set(rules)).object, "guard.o")
    whole = spec.programs["tidegate_in"]
    first = next(
        index
        for index, instruction in enumerate(whole.instructions)
        if isinstance(instruction, Branch) and isinstance(instruction.source, Register)
    )
    unchecked = (*whole.instructions[:first], Jump(first + 1), *whole.instructions[first + 1 :])
    with pytest.raises(Rejected) as refused:
        Verifier(spec.maps).verify(replace(whole, instructions=unchecked))
    report = refused.value.report
    assert report.source is not None
    assert report.source.file == str(rules)
    assert {step.source.file for step in report.steps if step.source is not None} == {str(rules)}


def _step(line: SourceLine | None) -> Step:
    return Step(3, 5, "if r3 > r2 goto L12", line, Role.LEARNED, "taken")


LINE, SAME_LINE = SourceLine("a.c", 5, 7, "  if (p > end)"), SourceLine("a.c", 5, 9, "  if (p > end)")
WORDS = "slot 5: `if r3 > r2 goto L12`: taken"


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        ([_step(None)], [WORDS]),
        ([_step(SourceLine("a.c", 5, 7))], ["a.c:5:7", f"  {WORDS}"]),
        ([_step(LINE), _step(SAME_LINE)], ["a.c:5:7: if (p > end)", f"  {WORDS}", f"  {WORDS}"]),
    ],
)
def test_words(steps: list[Step], lines: list[str]) -> None:
    assert told(steps) == lines
