"""Every case, through this verifier and through the Linux kernel's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.ebpf.isa.instructions import FRAME_POINTER
from appliance.ebpf.platform import PLATFORMS
from appliance.verifier import Rejected, Unsupported, Verifier
from appliance.verifier.control_flow import liveness
from appliance.verifier.diagnostics.blame import ABOUT_NO_VALUE
from appliance.verifier.diagnostics.reporting import MOST_STEPS
from appliance.verifier.reports.path import Role
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Report
from tests.appliance.verifier import kernel
from tests.appliance.verifier.support import EVERY_MAP, Case, load_cases
from tests.capabilities import require

CASES = load_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_verdict_and_exact_demand(case: Case) -> None:
    verifier = Verifier(EVERY_MAP, PLATFORMS[case.platform])
    if case.rejects is None:
        verifier.verify(case.spec())
        return
    with pytest.raises(Rejected) as refused:
        verifier.verify(case.spec())
    report = refused.value.report
    assert (report.demand, report.slot) == (case.rejects, case.slot)
    if case.steps is not None:
        words = tuple(str(step) for step in report.steps)
        assert words == case.steps, "if that is better, run `python -m tests.appliance.verifier.steps` and commit it"
    _check_steps(report, case, told=not isinstance(refused.value, Unsupported))


def _check_steps(report: Report, case: Case, *, told: bool) -> None:
    """Steps lie on the path, which ends at the instruction, and there are some where a value is at fault, and that can
    be `told`."""
    assert len({(step.index, step.role) for step in report.steps}) == len(report.steps) <= MOST_STEPS
    if report.kind is Rejection.BUDGET:
        assert {step.role for step in report.steps} == {Role.SPREAD}
        return
    assert {step.index for step in report.steps} <= set(report.path)
    assert not report.path or report.path[-1] == report.index
    instruction = case.spec().instructions[report.index]
    reads = liveness.register_effects(instruction, PLATFORMS[case.platform].helpers)[0]
    if told and report.kind not in ABOUT_NO_VALUE and reads & ~(1 << FRAME_POINTER) and not reads >> FRAME_POINTER & 1:
        assert report.steps


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.fixture(scope="module")
def descriptors() -> Iterator[dict[str, int]]:
    require("bpf")
    with kernel.kernel_maps(EVERY_MAP) as numbers:
        yield numbers


@pytest.mark.parametrize("case", [case for case in CASES if case.platform == "linux"], ids=lambda case: case.name)
def test_kernel_agrees_or_the_case_says_why_not(case: Case, descriptors: dict[str, int]) -> None:
    refusal = kernel.refusal(case.spec(), descriptors)
    agrees = (refusal is None) == (case.rejects is None)
    assert agrees == (case.kernel is None), refusal or "the kernel accepts this program"
