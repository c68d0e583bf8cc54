"""The firewall, in the Linux kernel and compiled here: which frame ends where, and under which reason it is counted."""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from tests.programs.kernel import KernelProgram, needs_kernel
from tests.programs.native import NativeProgram

OBJECT = Path(__file__).parents[2] / "programs" / "xdp_firewall.bpf.o"

# enum reason of programs/include/firewall.h
REASONS = (
    "passed",
    "not ip",
    "allowed source",
    "blocked source",
    "blocked port",
    "unlisted port",
    "syn rate",
    "udp rate",
    "fragment",
    "malformed",
    "nested",
)
BLOCK, ALLOW = 0, 1
DESTINATION, SOURCE = 0, 1
DROP_FRAGMENTS, DROP_UNLISTED = 1, 2
HOUR = 3600 * 10**9
HERE, THERE = "02:00:00:00:00:01", "02:00:00:00:00:02"
ETHER = Ether(src=HERE, dst=THERE)


class Firewall:
    """The firewall in one engine, with its maps filled by words of its own trade."""

    def __init__(self, program: KernelProgram | NativeProgram) -> None:
        self.program = program

    def block(self, network: str, action: int = BLOCK) -> None:
        prefix = ip_network(network)
        name = {IPv4Network: "sources_v4", IPv6Network: "sources_v6"}[type(prefix)]
        key = struct.pack("<I", prefix.prefixlen) + prefix.network_address.packed
        self.program.update(name, key, struct.pack("<IIQ", action, 0, 0))

    def port(self, protocol: int, number: int, action: int, side: int = DESTINATION) -> None:
        self.program.update("ports", struct.pack("!BBH", protocol, side, number), struct.pack("<I", action))

    def settings(self, *, syn: tuple[int, int] = (0, 0), udp: tuple[int, int] = (0, 0), flags: int = 0) -> None:
        self.program.update("settings", bytes(4), struct.pack("<QQQQII", *syn, *udp, flags, 0))

    def counters(self) -> dict[str, tuple[int, int]]:
        """Frames and bytes by reason, of all processors, without those that are 0."""
        found = {}
        for key, value in self.program.dump("counters"):
            words = struct.unpack(f"<{len(value) // 8}Q", value)
            if any(words):
                found[REASONS[int.from_bytes(key, "little")]] = (sum(words[::2]), sum(words[1::2]))
        return found

    def judge(self, *frames: Packet) -> list[str]:
        """Verdicts of the frames, one after the other."""
        return [self.program.run(bytes(frame)).verdict for frame in frames]


@pytest.fixture(
    params=[pytest.param(KernelProgram, id="kernel", marks=needs_kernel), pytest.param(NativeProgram, id="native")]
)
def firewall(request: pytest.FixtureRequest) -> Iterator[Firewall]:
    with request.param(OBJECT) as program:
        yield Firewall(program)


def v4(source: str = "192.0.2.1", **fields: object) -> Packet:
    return ETHER / IP(src=source, dst="198.51.100.1", **fields)


def v6(source: str = "2001:db8::1") -> Packet:
    return ETHER / IPv6(src=source, dst="2001:db8::2")


def syn(port: int = 80) -> Packet:
    return TCP(sport=40000, dport=port, flags="S")


def udp(port: int = 53, sport: int = 40000) -> Packet:
    return UDP(sport=sport, dport=port) / Raw(bytes(16))


OPTIONS = PadN(optdata=bytes(10))
EMPTY_OPTIONS = bytes.fromhex("3c00010400000000")  # destination options that destination options follow
SOUND = {
    "tcp": v4() / syn(),
    "udp": v4() / udp(),
    "icmp": v4() / ICMP(),
    "ip options": v4(options=b"\x94\x04\x00\x00") / syn(),
    "fragment": v4(frag=100) / Raw(bytes(40)),
    "padding": v4() / UDP() / Raw(bytes(60)),
    "ipv6": v6() / udp(),
    "ipv6 fragment": v6() / IPv6ExtHdrFragment(offset=100, nh=17) / Raw(bytes(40)),
    "four tags": ETHER / Dot1AD() / Dot1Q() / Dot1Q() / Dot1Q() / IP(src="192.0.2.1") / syn(),
    "six extensions": v6()
    / IPv6ExtHdrHopByHop(options=[OPTIONS])
    / IPv6ExtHdrDestOpt(options=[OPTIONS])
    / IPv6ExtHdrRouting(addresses=["2001:db8::3"])
    / AH(nh=44, payloadlen=4, icv=bytes(12), padding=b"")
    / IPv6ExtHdrFragment()
    / IPv6ExtHdrDestOpt(options=[OPTIONS])
    / syn(),
}


@pytest.mark.parametrize("name", SOUND)
def test_empty_maps_let_every_sound_frame_pass(firewall: Firewall, name: str) -> None:
    frame = SOUND[name]
    assert firewall.judge(frame) == ["pass"]
    assert firewall.counters() == {"passed": (1, len(frame))}


@pytest.mark.parametrize(
    ("reason", "frame"),
    [
        ("not ip", ETHER / ARP()),
        ("malformed", Ether(src=HERE, dst=THERE, type=0x8100) / Raw(b"\0\1\x08")),
        ("malformed", Ether(src=HERE, dst=THERE, type=0x0800) / Raw(bytes(v4() / syn())[14:33])),
        ("malformed", v4(version=5) / syn()),
        ("malformed", v4(ihl=4) / syn()),
        ("malformed", v4(ihl=15) / syn()),
        ("malformed", v4(len=19) / syn()),
        ("malformed", Raw(bytes(v4() / syn())[:-1])),
        ("malformed", v4() / TCP(dataofs=4)),
        ("malformed", Raw(bytes(v4() / UDP())[:-1])),
        ("malformed", Raw(bytes(v6() / UDP())[:-1])),
        ("malformed", Raw(bytes(v6() / UDP())[:53])),
        ("malformed", v6() / IPv6ExtHdrDestOpt(len=200) / syn()),
        ("nested", ETHER / Dot1Q() / Dot1Q() / Dot1Q() / Dot1Q() / Dot1Q() / IP() / syn()),
        ("nested", ETHER / IPv6(src="2001:db8::1", nh=60) / Raw(EMPTY_OPTIONS * 7)),
    ],
)
def test_what_no_map_is_asked_about(firewall: Firewall, reason: str, frame: Packet) -> None:
    verdict, size = firewall.program.run(bytes(frame)).verdict, len(bytes(frame))
    assert (verdict, firewall.counters()) == ("pass" if reason == "not ip" else "drop", {reason: (1, size)})


def test_the_longest_prefix_decides_and_counts(firewall: Firewall) -> None:
    firewall.block("192.0.2.0/24")
    firewall.block("192.0.2.128/25", ALLOW)
    firewall.block("2001:db8::/32")
    frames = [v4("192.0.2.1"), v4("192.0.2.200"), v4("198.51.100.1"), v6("2001:db8::9"), v6("2001:db9::9")]
    assert firewall.judge(*(frame / udp() for frame in frames)) == ["drop", "pass", "pass", "drop", "pass"]
    counted = {reason: frames for reason, (frames, _) in firewall.counters().items()}
    assert counted == {"blocked source": 2, "allowed source": 1, "passed": 2}
    assert {key[0]: struct.unpack("<IIQ", value)[2] for key, value in firewall.program.dump("sources_v4")} == {
        24: 1,
        25: 1,
    }


def test_a_blocked_source_is_found_under_tags_and_extensions(firewall: Firewall) -> None:
    firewall.block("192.0.2.1/32")
    firewall.block("2001:db8::1/128")
    wrapped = ETHER / Dot1AD() / Dot1Q()
    frames = [
        wrapped / IP(src="192.0.2.1") / syn(),
        wrapped / IPv6(src="2001:db8::1") / IPv6ExtHdrHopByHop() / syn(),
    ]
    assert firewall.judge(*frames) == ["drop", "drop"]
    assert firewall.counters()["blocked source"][0] == 2


@pytest.mark.parametrize("network", [v4, v6])
def test_ports(firewall: Firewall, network: type) -> None:
    firewall.port(6, 23, BLOCK)
    firewall.port(17, 123, BLOCK, SOURCE)
    frames = [syn(23), syn(22), udp(23), udp(4000, sport=123), udp(123)]
    assert firewall.judge(*(network() / frame for frame in frames)) == ["drop", "pass", "pass", "drop", "pass"]
    assert firewall.counters()["blocked port"][0] == 2


def test_a_port_is_found_behind_extension_headers(firewall: Firewall) -> None:
    firewall.port(6, 80, BLOCK)
    assert firewall.judge(SOUND["six extensions"], SOUND["ip options"], SOUND["four tags"]) == ["drop"] * 3


def test_unlisted_ports_are_closed_to_new_connections_only(firewall: Firewall) -> None:
    firewall.settings(flags=DROP_UNLISTED)
    firewall.port(6, 443, ALLOW)
    frames = [syn(443), syn(80), TCP(dport=80, flags="A"), TCP(dport=80, flags="SA"), udp(53), ICMP()]
    assert firewall.judge(*(v4() / frame for frame in frames)) == ["pass", "drop", "pass", "pass", "drop", "pass"]
    assert firewall.counters()["unlisted port"][0] == 2


def test_fragments_are_dropped_when_asked(firewall: Firewall) -> None:
    firewall.settings(flags=DROP_FRAGMENTS)
    frames = [
        v4(flags="MF") / udp(),
        v4(frag=1) / Raw(bytes(8)),
        v6() / IPv6ExtHdrFragment(m=1) / udp(),
        v6() / IPv6ExtHdrFragment(offset=1, nh=17) / Raw(bytes(8)),
        v6() / IPv6ExtHdrFragment() / udp(),
        v4(flags="DF") / udp(),
    ]
    assert firewall.judge(*frames) == ["drop"] * 4 + ["pass"] * 2
    assert firewall.counters()["fragment"][0] == 4


def test_the_reserved_byte_of_a_fragment_header_is_not_its_length(firewall: Firewall) -> None:
    firewall.port(17, 53, BLOCK)
    frame = bytearray(bytes(v6() / IPv6ExtHdrFragment() / udp(53)))
    frame[14 + 40 + 1] = 0xFF
    assert firewall.program.run(bytes(frame)).verdict == "drop"
    assert set(firewall.counters()) == {"blocked port"}


@pytest.mark.parametrize(("kind", "frame", "reason"), [("syn", syn(), "syn rate"), ("udp", udp(), "udp rate")])
def test_a_source_that_is_too_fast_is_held_back_and_no_other(
    firewall: Firewall, kind: str, frame: Packet, reason: str
) -> None:
    firewall.settings(**{kind: (HOUR, 2 * HOUR)})
    assert firewall.judge(*[v4() / frame] * 5) == ["pass"] * 3 + ["drop"] * 2
    assert firewall.judge(v4("192.0.2.2") / frame, v6() / frame) == ["pass", "pass"]
    assert firewall.judge(v4() / TCP(flags="A"), v4() / ICMP()) == ["pass", "pass"]
    assert firewall.counters()[reason][0] == 2


def test_an_allowed_source_has_no_rate(firewall: Firewall) -> None:
    firewall.settings(syn=(HOUR, 0), flags=DROP_UNLISTED | DROP_FRAGMENTS)
    firewall.block("192.0.2.0/24", ALLOW)
    assert firewall.judge(*[v4() / syn()] * 3, v4(frag=1) / Raw(bytes(8))) == ["pass"] * 4
