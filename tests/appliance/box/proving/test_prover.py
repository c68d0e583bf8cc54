"""A prover in a process of its own: the same answers, the same refusals, and an end to whatever it does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.box.proving.build import build
from appliance.box.proving.built import Built
from appliance.box.proving.errors import ProverTimedOut
from appliance.box.proving.prover import Prover
from appliance.box.proving.request import BuildRequest, ObjectFile
from appliance.errors import TidegateError
from tests.appliance.box.proving.requests import of_program, of_rules
from tests.appliance.ebpf.compiling import compile_c
from tests.capabilities import requires

UNTIMED = {"verify_seconds": 0.0, "compile_seconds": 0.0}


def untimed(built: Built) -> Built:
    """Without what differs from run to run."""
    return replace(built, programs=tuple(replace(each, seconds=0.0) for each in built.programs), **UNTIMED)


def test_a_prover_answers_what_this_process_would(prover: Prover, tmp_path: Path) -> None:
    for request in (of_program("xdp_firewall", workers=2), of_rules(tmp_path)):
        assert untimed(prover.build(request)) == untimed(build(request))


def test_many_threads_ask_at_once(prover: Prover) -> None:
    names = ("xdp_pass", "xdp_drop", "xdp_swap") * 2
    with ThreadPoolExecutor(6) as pool:
        built = list(pool.map(lambda name: prover.build(of_program(name)), names))
    assert [each.programs[0].name for each in built] == list(names)


@pytest.mark.parametrize(
    "request_",
    [
        replace(of_program("xdp_pass"), inward="other"),
        replace(of_program("xdp_pass"), object=ObjectFile("hostile.o", b"\x7fELF" + bytes(60))),
    ],
)
def test_refusals_are_raised_with_the_same_words(prover: Prover, request_: BuildRequest) -> None:
    with pytest.raises(TidegateError) as here:
        build(request_)
    with pytest.raises(TidegateError) as there:
        prover.build(request_)
    assert type(there.value) is type(here.value)
    assert str(there.value) == str(here.value)
    assert there.value.exit_status == here.value.exit_status


def test_it_is_ended_when_its_time_is_over(prover: Prover) -> None:
    with pytest.raises(ProverTimedOut, match=r"xdp_firewall.o: proof and code weren't made within 0.01 s"):
        prover.build(of_program("xdp_firewall"), timeout=0.01)
    assert prover.build(of_program("xdp_pass")).programs  # the zygote goes on


ASKING = """
#include <bpf/bpf_core_read.h>
struct task_struct { int pid; } __attribute__((preserve_access_index));
extern int LINUX_KERNEL_VERSION __kconfig;
SEC("xdp") int p(struct xdp_md *ctx) {
    return bpf_core_field_size(((struct task_struct *)0)->pid) == 4 && LINUX_KERNEL_VERSION > 0 ? 2 : 1;
}
"""


@requires("clang", "the kernel's types")
def test_objects_may_ask_for_the_running_kernel(prover: Prover) -> None:
    """Whose files a prover can't read."""
    request = BuildRequest(ObjectFile("asking.o", compile_c(ASKING)), "p", None, 1)
    assert untimed(prover.build(request)) == untimed(build(request))
