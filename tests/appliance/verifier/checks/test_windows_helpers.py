"""What the memory helpers of eBPF for Windows demand, and what can be read after them."""

from __future__ import annotations

import pytest

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.platform import WINDOWS
from appliance.ebpf.spec import ProgramSpec
from appliance.verifier import Rejected, Unsupported, Verifier
from hooks.contracts.contract import HookPoint
from hooks.contracts.sock_addr import SOCK_ADDR_WINDOWS
from hooks.contracts.xdp import XDP_WINDOWS

COPY = "*(u64 *)(r10 - 8) = 0; r1 = r10; r1 += -16; r2 = {room}; r3 = r10; r3 += -8; r4 = {size}; call {name};"
PASS = "r0 = 1; exit"


def verify(code: str, hook: HookPoint = XDP_WINDOWS) -> None:
    Verifier({}, WINDOWS).verify(ProgramSpec("test", hook.name, hook, assemble(code, WINDOWS.at(hook))))


def demand(code: str) -> str:
    with pytest.raises(Rejected) as refused:
        verify(code)
    return refused.value.report.demand


@pytest.mark.parametrize("name", ["memcpy_s", "memmove_s"])
def test_a_copy_fills_as_much_as_it_copies(name: str) -> None:
    verify(COPY.format(name=name, room=8, size=8) + "r2 = *(u64 *)(r10 - 16);" + PASS)
    verify(COPY.format(name=name, room=8, size=4) + "r2 = *(u32 *)(r10 - 16);" + PASS)
    assert "byte -12 was not written" in demand(
        COPY.format(name=name, room=8, size=4) + "r2 = *(u64 *)(r10 - 16);" + PASS
    )


def test_a_refused_copy_fills_everything() -> None:
    verify(COPY.format(name="memcpy_s", room=4, size=8) + "r2 = *(u32 *)(r10 - 16);" + PASS)


def test_a_copy_of_unknown_size_fills_nothing_for_sure() -> None:
    size = "call get_prandom_u32; r9 = r0; r9 &= 3; r9 += 1;"
    code = size + COPY.format(name="memcpy_s", room=8, size="r9") + "r2 = *(u8 *)(r10 - 16);" + PASS
    assert "byte -16 was not written" in demand(code)


def test_appending_needs_a_string_to_append_to() -> None:
    assert "byte -16 was not written" in demand(COPY.format(name="strncat_s", room=8, size=8) + PASS)
    verify("*(u64 *)(r10 - 16) = 0;" + COPY.format(name="strncat_s", room=8, size=8) + PASS)


def test_copying_a_string_fills_everything() -> None:
    verify(COPY.format(name="strncpy_s", room=8, size=2) + "r2 = *(u64 *)(r10 - 16);" + PASS)


def test_what_has_no_meaning_is_refused_with_its_reason() -> None:
    with pytest.raises(Unsupported) as refused:
        verify("call 0x10002; exit", SOCK_ADDR_WINDOWS[0])
    assert refused.value.report.demand == (
        "calls helper get_network_context, which has no meaning here: there is no network stack of Windows"
    )
