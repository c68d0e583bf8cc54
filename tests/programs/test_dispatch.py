"""A program for every protocol, reached by tail calls, and TCP options walked by bpf_loop: in the kernel and here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from appliance.ebpf.objects.objects import load_object_file
from appliance.jit.collection import Collection
from appliance.maps.control.prog_array import ProgArray
from tests.appliance.jit.support import Frame, run_loaded, run_loops
from tests.programs.kernel import VERDICTS, KernelProgram, needs_kernel

OBJECT = Path(__file__).parents[2] / "programs" / "xdp_dispatch.bpf.o"
TCP_PLACE, UDP_PLACE = 6, 17
ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def over_ip(packet: Packet) -> bytes:
    return bytes(ETHERNET / IP(src="192.0.2.1", dst="192.0.2.2") / packet)


def options(written: bytes, flags: str = "S") -> bytes:
    """A TCP segment with these bytes as its options."""
    padded = written + bytes(-len(written) % 4)
    return over_ip(TCP(sport=1, dport=2, flags=flags, dataofs=5 + len(padded) // 4) / Raw(padded))


FRAMES: dict[str, tuple[bytes, str]] = {
    "a SYN as systems send it": (
        over_ip(TCP(flags="S", options=[("MSS", 1460), ("NOP", None), ("WScale", 7)])),
        "pass",
    ),
    "a SYN without options": (over_ip(TCP(flags="S")), "pass"),
    "a segment size of nothing": (over_ip(TCP(flags="S", options=[("MSS", 0)])), "drop"),
    "a segment size behind other options": (options(b"\1\1\4\2\2\4\0\x20"), "drop"),
    "forty bytes of nothing": (options(b"\1" * 40), "pass"),
    "a segment size behind the end": (options(b"\0\2\4\0\0"), "pass"),
    "an option without a length": (options(b"\1\1\1\5"), "drop"),
    "an option of length 0": (options(b"\5\0\0\0"), "drop"),
    "an option that is longer than its header": (options(b"\5\x28\0\0"), "drop"),
    "a segment size of three bytes": (options(b"\2\3\0\0"), "drop"),
    "the same in an answer": (options(b"\2\3\0\0", flags="SA"), "pass"),
    "a datagram": (over_ip(UDP(sport=53, dport=53)), "pass"),
    "a datagram from port 0": (over_ip(UDP(sport=0, dport=53)), "drop"),
    "a protocol without a program": (over_ip(ICMP()), "pass"),
    "no IPv4": (bytes(ETHERNET / ARP()), "pass"),
}


@pytest.fixture(scope="module")
def native() -> Iterator[Collection]:
    with Collection.load(load_object_file(OBJECT), loops=run_loops) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelProgram]:
    with KernelProgram(OBJECT, "xdp_dispatch") as program:
        yield program


def judge(loaded: Collection, frame: bytes) -> str:
    return VERDICTS[run_loaded(loaded, "xdp_dispatch", Frame(frame, headroom=256).context)]


@pytest.mark.parametrize("name", FRAMES)
def test_here(name: str, native: Collection) -> None:
    frame, verdict = FRAMES[name]
    assert judge(native, frame) == verdict


@needs_kernel
@pytest.mark.parametrize("name", FRAMES)
def test_in_the_kernel(name: str, kernel: KernelProgram) -> None:
    frame, verdict = FRAMES[name]
    assert kernel.run(frame).verdict == verdict


def test_a_protocol_is_given_another_program(native: Collection) -> None:
    array = native.maps["protocols"]
    assert isinstance(array, ProgArray)
    datagram, _ = FRAMES["a datagram from port 0"]
    assert judge(native, datagram) == "drop"
    del array[UDP_PLACE]
    assert judge(native, datagram) == "pass"
    array[UDP_PLACE] = "judge_udp"
    assert judge(native, datagram) == "drop"
