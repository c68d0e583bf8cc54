"""Every case, through this verifier and through the Linux kernel's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.ebpf.platform import PLATFORMS
from appliance.verifier import Rejected, Verifier
from tests.appliance.verifier import kernel
from tests.appliance.verifier.support import JUDGED_MAPS, MAPS, Case, load_cases

CASES = load_cases()
EVERY_MAP = {**MAPS, **JUDGED_MAPS}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_verdict_and_exact_demand(case: Case) -> None:
    verifier = Verifier(EVERY_MAP, PLATFORMS[case.platform])
    if case.rejects is None:
        verifier.verify(case.spec())
        return
    with pytest.raises(Rejected) as refused:
        verifier.verify(case.spec())
    assert (refused.value.report.demand, refused.value.report.slot) == (case.rejects, case.slot)


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.fixture(scope="module")
def descriptors() -> Iterator[dict[str, int]]:
    if not kernel.available():
        pytest.skip("this process may not call bpf()")
    with kernel.kernel_maps(EVERY_MAP) as numbers:
        yield numbers


@pytest.mark.parametrize("case", [case for case in CASES if case.platform == "linux"], ids=lambda case: case.name)
def test_kernel_agrees_or_the_case_says_why_not(case: Case, descriptors: dict[str, int]) -> None:
    refusal = kernel.refusal(case.spec(), descriptors)
    agrees = (refusal is None) == (case.rejects is None)
    assert agrees == (case.kernel is None), refusal or "the kernel accepts this program"
