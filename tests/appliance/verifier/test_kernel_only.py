"""What only a kernel can run is proved for a kernel, and runs nowhere here."""

from __future__ import annotations

import pytest
from llvmlite import ir

from appliance.api import open_object
from appliance.ebpf.objects.objects import load_object
from appliance.jit.program import emit_program
from appliance.jit.subprogram import NotCompilable
from appliance.verifier import Rejected, Verifier
from appliance.verifier.kernel_only import in_kernel
from appliance.verifier.program import VerifiedProgram
from tests.appliance.ebpf.compiling import compile_c

SOURCE = """
SEC("cgroup/connect4") int kernels(struct bpf_sock_addr *ctx) {
    return ctx->sk && bpf_get_retval() == 0;
}
SEC("cgroup/connect4") int here(struct bpf_sock_addr *ctx) { return 1; }
SEC("sockops") int nobodys(struct bpf_sock_ops *ctx) { return bpf_rc_repeat(ctx); }
SEC("sockops") int wrong(struct bpf_sock_ops *ctx) { struct bpf_sock *sk = ctx->sk; return sk->family != 0; }
SEC("xdp") int frame(struct xdp_md *ctx) { return bpf_get_current_task() ? XDP_PASS : XDP_DROP; }
"""


def judge(name: str) -> tuple[VerifiedProgram, str]:
    """The proof, and what it needs a kernel for."""
    spec = load_object(compile_c(SOURCE), "x.o")
    verifier = Verifier(spec.maps)
    try:
        return verifier.verify(spec.programs[name]), ""
    except Rejected as rejected:
        kernels = in_kernel(spec.programs[name], rejected)
        if kernels is None:
            raise
        return verifier.verify(kernels), rejected.report.demand


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("here", ""),
        ("kernels", "reads `sk` of the context `bpf_sock_addr`, which only a kernel has"),
        ("frame", "calls helper get_current_task, which has no meaning here: there is no kernel task"),
    ],
)
def test_what_a_program_needs(name: str, needs: str) -> None:
    proof, needed = judge(name)
    assert needed == needs
    assert proof.spec.hook.runs_here == (not needs)


@pytest.mark.parametrize(
    ("name", "demand"),
    [
        ("nobodys", "calls helper rc_repeat, which is not supported yet"),
        ("wrong", "reads memory through r1, which may be null: there may be no such socket"),
    ],
)
def test_what_neither_may_do(name: str, demand: str) -> None:
    with pytest.raises(Rejected) as refused:
        judge(name)
    assert refused.value.report.demand == demand


def test_nothing_that_needs_a_kernel_becomes_native() -> None:
    with pytest.raises(NotCompilable, match="programs of hook `cgroup/connect4` run in a kernel"):
        emit_program(ir.Module(), judge("kernels")[0], {})
    found = open_object(compile_c(SOURCE))
    for name, each in found.programs.items():
        each.autoload = name in ("here", "kernels")
    with pytest.raises(Rejected, match="reads `sk` of the context `bpf_sock_addr`, which only a kernel has"):
        found.load()
    found.programs["kernels"].autoload = False
    found.load().close()
