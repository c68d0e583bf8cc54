"""Linux itself accepts the simple programs and they do there what they say."""

from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from tests.programs.kernel import KernelProgram, Run, bpftool, needs_kernel

PROGRAMS = Path(__file__).parents[2] / "programs"
HERE, THERE = "02:00:00:00:00:01", "02:00:00:00:00:02"

pytestmark = needs_kernel


def run(name: str, frame: Packet) -> Run:
    with KernelProgram(PROGRAMS / f"{name}.bpf.o") as program:
        return program.run(bytes(frame))


def udp(size: int = 20) -> Packet:
    return IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1000, dport=2000) / Raw(bytes(size))


def ethernet() -> Packet:
    return Ether(src=HERE, dst=THERE)


@pytest.mark.parametrize(("name", "verdict"), [("xdp_pass", "pass"), ("xdp_drop", "drop")])
def test_one_verdict_for_every_frame(name: str, verdict: str) -> None:
    frame = bytes(ethernet() / udp())
    assert run(name, ethernet() / udp()) == Run(verdict, frame)


def test_swap_sends_back_with_the_addresses_changed() -> None:
    assert run("xdp_swap", ethernet() / udp()) == Run("tx", bytes(Ether(src=THERE, dst=HERE) / udp()))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ethernet() / Dot1Q(vlan=7) / udp(), ethernet() / udp()),
        (ethernet() / Dot1AD(vlan=9) / Dot1Q(vlan=7) / udp(), ethernet() / Dot1Q(vlan=7) / udp()),
        (ethernet() / udp(), ethernet() / udp()),
    ],
    ids=["one tag", "two tags", "none"],
)
def test_vlan_pop_takes_the_outermost_tag(before: Packet, after: Packet) -> None:
    assert run("xdp_vlan_pop", before) == Run("pass", bytes(after))


def test_trim_cuts_off_what_follows_the_packet() -> None:
    frame = ethernet() / udp()
    assert run("xdp_trim", Raw(bytes(frame) + b"hidden words")) == Run("pass", bytes(frame))
    assert run("xdp_trim", frame) == Run("pass", bytes(frame))


def test_trim_drops_a_packet_that_claims_more_than_there_is() -> None:
    frame = bytes(ethernet() / udp())
    assert run("xdp_trim", Raw(frame[:-1])).verdict == "drop"


def test_linux_shows_our_lines_between_the_instructions() -> None:
    with KernelProgram(PROGRAMS / "xdp_swap.bpf.o") as program:
        listing = bpftool("prog", "dump", "xlated", "pinned", str(program.pin), "linum")
    assert "[file:programs/xdp_swap.bpf.c line_num:" in listing
