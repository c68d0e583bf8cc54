"""The way to a rejection, in a person's words."""

from __future__ import annotations

import pytest

from appliance.ebpf.instructions import Branch
from appliance.ebpf.objects import load_object
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import ProgramSpec
from appliance.errors import SourceLine
from appliance.verifier.report import Rejected, Report
from appliance.verifier.verifier import Verifier
from appliance.verifier.way import Step, steps_of
from tests.appliance.ebpf.compiling import compile_c

SHORT_CHECK = """
SEC("xdp") int careless(struct xdp_md *ctx) {
  unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  if (data + 14 > end)
    return XDP_PASS;
  if (data[12] != 8)
    return XDP_PASS;
  return data[30] == 8 ? XDP_PASS : XDP_DROP;
}
"""


@pytest.fixture(scope="module")
def careless() -> tuple[ProgramSpec, Report]:
    spec = load_object(compile_c(SHORT_CHECK), "careless.o")
    with pytest.raises(Rejected) as refused:
        Verifier(spec.maps).verify(spec.programs["careless"])
    return spec.programs["careless"], refused.value.report


def test_branches_on_the_way_with_their_lines(careless: tuple[ProgramSpec, Report]) -> None:
    _, report = careless
    assert [(step.source.column, step.taken) for step in report.steps if step.source is not None] == [
        (7, False),
        (7, False),
    ]
    lines = [step.source.line for step in report.steps if step.source is not None]
    assert report.source is not None
    assert [report.source.line - line for line in lines] == [4, 2]
    assert "\n".join(f"    {step}" for step in report.steps) in str(report)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "`if r3 > r2 goto L12` at slot 5 is not taken"),
        (SourceLine("a.c", 5, 7), "a.c:5:7: `if r3 > r2 goto L12` at slot 5 is not taken"),
        (
            SourceLine("a.c", 5, 7, "  if (p > end)"),
            "a.c:5:7: if (p > end): `if r3 > r2 goto L12` at slot 5 is not taken",
        ),
    ],
)
def test_words(source: SourceLine | None, words: str) -> None:
    assert str(Step(5, "if r3 > r2 goto L12", False, source)) == words


def test_a_way_without_branches_says_nothing(careless: tuple[ProgramSpec, Report]) -> None:
    program, _ = careless
    assert steps_of(program, (), LINUX) == steps_of(program, (0,), LINUX) == steps_of(program, (0, 1), LINUX) == ()


def test_what_a_loop_repeats_is_told_once(careless: tuple[ProgramSpec, Report]) -> None:
    program, report = careless
    assert steps_of(program, report.path * 3, LINUX) == report.steps


def test_both_outcomes_of_a_branch_are_told(careless: tuple[ProgramSpec, Report]) -> None:
    program, report = careless
    branch = next(index for index in report.path if isinstance(program.instructions[index], Branch))
    instruction = program.instructions[branch]
    assert isinstance(instruction, Branch)
    steps = steps_of(program, (branch, instruction.target, branch, branch + 1), LINUX)
    assert [step.taken for step in steps] == [True, False]
