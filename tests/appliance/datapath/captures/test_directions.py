"""Which frames of a capture come from inside, by who sent them."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet

from appliance.cli.inside import read_networks
from appliance.datapath.captures import Capture, tell_directions
from appliance.errors import InputRefused
from tests.captures import at_once, pcap

INSIDE = read_networks(["192.0.2.0/24", "10.0.0.0/8", "2001:db8:1::/48", "203.0.113.7"])
ETHER = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")


def directions(path: Path, *frames: Packet | bytes) -> list[int]:
    path.write_bytes(pcap(at_once(map(bytes, frames))))
    with Capture(path) as capture:
        tell_directions(capture, INSIDE)
        return [record.program for record in capture.records()]


@pytest.mark.parametrize(
    ("frame", "outward"),
    [
        (ETHER / IP(src="192.0.2.0") / UDP(), True),
        (ETHER / IP(src="192.0.2.255") / UDP(), True),
        (ETHER / IP(src="192.0.1.255", dst="192.0.2.1") / UDP(), False),
        (ETHER / IP(src="192.0.3.0") / UDP(), False),
        (ETHER / IP(src="10.255.0.1") / UDP(), True),
        (ETHER / IP(src="203.0.113.7") / UDP(), True),
        (ETHER / IP(src="203.0.113.8") / UDP(), False),
        (ETHER / IP(src="0.0.0.0") / UDP(), False),
        (ETHER / IPv6(src="2001:db8:1::9") / UDP(), True),
        (ETHER / IPv6(src="2001:db8:1:ffff::9") / IPv6ExtHdrHopByHop() / UDP(), True),
        (ETHER / IPv6(src="2001:db8:2::9", dst="2001:db8:1::9") / UDP(), False),
        (ETHER / Dot1Q(vlan=7) / IP(src="192.0.2.9") / UDP(), True),
        (ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / Dot1Q(vlan=9) / Dot1Q() / IPv6(src="2001:db8:1::9"), True),
        (ETHER / ARP(psrc="192.0.2.9", pdst="198.51.100.1"), True),
        (ETHER / ARP(psrc="198.51.100.1", pdst="192.0.2.9"), False),
        (bytes(ETHER / IP(src="192.0.2.9"))[:29], False),
        (bytes(ETHER / IP(src="192.0.2.9"))[:30], True),
        (b"", False),
        (bytes(60), False),
    ],
)
def test_who_sent_it(tmp_path: Path, frame: Packet | bytes, outward: bool) -> None:
    assert directions(tmp_path / "capture", frame) == [int(outward)]


def test_several_frames(tmp_path: Path) -> None:
    ours, theirs = ETHER / IP(src="192.0.2.1"), ETHER / IP(src="198.51.100.1")
    assert directions(tmp_path / "capture", ours, theirs, theirs, ours) == [1, 0, 0, 1]


@pytest.mark.parametrize("prefix", ["nonsense", "192.0.2.1/24", "192.0.2.0/33", "", "eth0", "2001:db8::/129"])
def test_a_network_that_is_none(prefix: str) -> None:
    with pytest.raises(InputRefused) as refused:
        read_networks([prefix])
    assert str(refused.value).startswith(f"--inside {prefix}: ")
