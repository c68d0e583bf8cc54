"""The simple programs do what they say, in the Linux kernel and compiled here."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from appliance.ebpf.objects.objects import load_object_file
from tests.programs.kernel import KernelProgram, Run, bpftool, needs_kernel
from tests.programs.native import NativeProgram

PROGRAMS = Path(__file__).parents[2] / "programs"
HERE, THERE = "02:00:00:00:00:01", "02:00:00:00:00:02"

Runner: TypeAlias = Callable[[str, Packet], Run]


@pytest.fixture(
    params=[pytest.param(KernelProgram, id="kernel", marks=needs_kernel), pytest.param(NativeProgram, id="native")]
)
def run(request: pytest.FixtureRequest) -> Runner:
    """One frame through a program, in one engine."""

    def run_once(name: str, frame: Packet) -> Run:
        with request.param(PROGRAMS / f"{name}.bpf.o") as program:
            result = program.run(bytes(frame))
        assert isinstance(result, Run)
        return result

    return run_once


def udp(size: int = 20) -> Packet:
    return IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1000, dport=2000) / Raw(bytes(size))


def ethernet() -> Packet:
    return Ether(src=HERE, dst=THERE)


@pytest.mark.parametrize(("name", "verdict"), [("xdp_pass", "pass"), ("xdp_drop", "drop")])
def test_one_verdict_for_every_frame(run: Runner, name: str, verdict: str) -> None:
    frame = bytes(ethernet() / udp())
    assert run(name, ethernet() / udp()) == Run(verdict, frame)


def test_swap_sends_back_with_the_addresses_changed(run: Runner) -> None:
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
def test_vlan_pop_takes_the_outermost_tag(run: Runner, before: Packet, after: Packet) -> None:
    assert run("xdp_vlan_pop", before) == Run("pass", bytes(after))


def test_trim_cuts_off_what_follows_the_packet(run: Runner) -> None:
    frame = ethernet() / udp()
    assert run("xdp_trim", Raw(bytes(frame) + b"hidden words")) == Run("pass", bytes(frame))
    assert run("xdp_trim", frame) == Run("pass", bytes(frame))


def test_trim_drops_a_packet_that_claims_more_than_there_is(run: Runner) -> None:
    frame = bytes(ethernet() / udp())
    assert run("xdp_trim", Raw(frame[:-1])).verdict == "drop"


@needs_kernel
def test_linux_shows_our_lines_between_the_instructions() -> None:
    with KernelProgram(PROGRAMS / "xdp_swap.bpf.o") as program:
        listing = bpftool("prog", "dump", "xlated", "pinned", str(program.pin), "linum")
    assert "[file:programs/xdp_swap.bpf.c line_num:" in listing


@needs_kernel
def test_linux_makes_the_maps_that_the_loader_sees() -> None:
    path = PROGRAMS / "xdp_firewall.bpf.o"
    # libbpf puts eight letters of the object's name before that of a data section, and pins with _ for a dot
    expected = {name.replace(".", "xdp_fire_") for name in load_object_file(path).maps}
    with KernelProgram(path) as program:
        assert program.maps == expected
