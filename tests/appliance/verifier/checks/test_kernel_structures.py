"""Types of a kernel that are damaged, or lack what a program asks for, end in a rejection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import ProgramSpec
from appliance.verifier import Verifier
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Rejected, Unsupported
from tests.appliance.verifier.checks.test_typed import PAIRS, few_types
from tests.appliance.verifier.support import program


class Types:
    """The types of a program's kernel, of which some methods are others."""

    def __init__(self, true: object, **methods: Any) -> None:
        self._true = true
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._true, name)


def damaged(*_: object) -> None:
    raise ObjectError("type 7 is a part of itself")


def casts_a_socket(types: Types) -> ProgramSpec:
    hook = LINUX.hook_for_section("tc")
    assert hook is not None
    code = "r1 = *(u64 *)(r1 + 168); if r1 == 0 goto out; call skc_to_tcp_sock; out: r0 = 0; exit"
    return replace(program(code, "cast", hook), kernel=types)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("structure", "words"),
    [
        (lambda name: None, "needs the kernel's `tcp_sock`, which these types do not have"),
        (damaged, "needs the kernel's `tcp_sock`, and type 7 is a part of itself"),
    ],
    ids=["missing", "damaged"],
)
def test_a_structure_that_is_not_to_be_had(structure: object, words: str) -> None:
    with pytest.raises(Unsupported) as refused:
        Verifier({}).verify(casts_a_socket(Types(None, structure=structure)))
    report = refused.value.report
    assert (report.demand, report.slot, report.kind) == (words, 2, Rejection.KERNEL_TYPES_MISSING)


def test_a_structure_that_makes_no_sense() -> None:
    pair = next(pair for pair in PAIRS if pair.name == "a member of an argument")
    spec = load_object(pair.object(bad=False), "pair.o", target_btf=few_types()).programs["program"]
    torn = replace(spec, kernel=Types(spec.kernel, load=damaged))  # type: ignore[arg-type]
    with pytest.raises(Rejected) as refused:
        Verifier({}).verify(torn)
    report = refused.value.report
    assert report.demand == "reads a `task_struct`, whose type makes no sense: type 7 is a part of itself"
    assert report.kind is Rejection.KERNEL_ACCESS
