"""Objects that want a prover to fail: it ends in time, and whoever asked goes on."""

from __future__ import annotations

import time

import pytest

from appliance.box.proving.errors import ProverTimedOut
from appliance.box.proving.prover import Prover
from appliance.box.proving.request import BuildRequest, ObjectFile
from appliance.errors import InputRefused
from tests.appliance.box.proving.requests import of_program
from tests.appliance.ebpf.compiling import compile_c
from tests.capabilities import requires

SLACK = 5.0  # seconds for a busy machine: what is shown is that it ends at all
MULTIPLIED = """
SEC("xdp") int p(struct xdp_md *ctx) {
    long x = ctx->ingress_ifindex;
    asm volatile(".rept 100000\\n %0 *= 3\\n .endr" : "+r"(x));
    return x & 1;
}
"""
LETTERS = "".join(f"if (bpf_get_prandom_u32() & 1) y += {3**n % 1_000_003};" for n in range(400))
BRANCHES = f'SEC("xdp") int p(struct xdp_md *ctx) {{ long y = 0; {LETTERS} return y & 1; }}'


def request_of(source: str) -> BuildRequest:
    return BuildRequest(ObjectFile("hostile.o", compile_c(source)), "p", None, 1)


@requires("clang")
@pytest.mark.parametrize("source", [MULTIPLIED, BRANCHES], ids=["multiplications", "branches"])
def test_code_that_takes_long_ends_in_time(prover: Prover, source: str) -> None:
    began = time.monotonic()
    with pytest.raises(ProverTimedOut):
        prover.build(request_of(source), timeout=0.5)
    assert time.monotonic() - began < 0.5 + SLACK
    assert prover.build(of_program("xdp_pass")).programs


def test_an_object_that_no_prover_takes_is_not_sent(prover: Prover) -> None:
    large = BuildRequest(ObjectFile("large.o", bytes((64 << 20) + 1)), "p", None, 1)
    with pytest.raises(InputRefused, match=r"large.o: objects of 67108865 bytes, and a prover takes 67108864"):
        prover.build(large)


def test_a_name_of_any_characters_comes_back(prover: Prover) -> None:
    """A file's name may hold bytes that are no text, and a line's end."""
    name = b"\xff\n\x00\xf0\x9f\x8c\x8a".decode(errors="surrogateescape")
    with pytest.raises(InputRefused) as refused:
        prover.build(BuildRequest(ObjectFile(name, b""), name, None, 1))
    assert str(refused.value).startswith(name)
