"""Captures of other link types: each frame is shown as the Ethernet frame that it would have been."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1Q, Ether, Loopback
from scapy.packet import Packet
from scapy.utils import PcapNgWriter, PcapWriter

from appliance.datapath.captures import Capture, CaptureRefused
from appliance.datapath.captures.link_types import LINK_TYPES
from tests.captures import interface, packet, pcap, section, simple_packet

V4 = bytes(IP(src="192.0.2.1", dst="198.51.100.1") / UDP(sport=1, dport=53) / b"payload")
V6 = bytes(IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(dport=80))
ARP_REQUEST = bytes(ARP(psrc="192.0.2.1", pdst="192.0.2.2"))
MAC = bytes.fromhex("02005e100001")
ZERO = bytes(6)
IPV4, IPV6, ARP_TYPE, TAG, PPP_TYPE = 0x0800, 0x86DD, 0x0806, 0x8100, 0x880B


def ethernet(ethertype: int, payload: bytes, source: bytes = ZERO, destination: bytes = ZERO) -> bytes:
    return destination + source + struct.pack("!H", ethertype) + payload


def sll(protocol: int, payload: bytes, *, kind: int = 0, length: int = 6) -> bytes:
    return struct.pack("!HHH8sH", kind, 1, length, MAC, protocol) + payload


def sll2(protocol: int, payload: bytes, *, kind: int = 0, length: int = 6) -> bytes:
    return struct.pack("!HHIHBB8s", protocol, 0, 3, 1, kind, length, MAC) + payload


CASES = {
    "null, little": (0, struct.pack("<I", 2) + V4, ethernet(IPV4, V4)),
    "null, big": (0, struct.pack(">I", 2) + V4, ethernet(IPV4, V4)),
    "null, Linux": (0, struct.pack("<I", 10) + V6, ethernet(IPV6, V6)),
    "null, NetBSD": (0, struct.pack("<I", 24) + V6, ethernet(IPV6, V6)),
    "null, FreeBSD": (0, struct.pack("<I", 28) + V6, ethernet(IPV6, V6)),
    "null, Darwin": (0, struct.pack("<I", 30) + V6, ethernet(IPV6, V6)),
    "loop": (108, struct.pack(">I", 24) + V6, ethernet(IPV6, V6)),
    "raw 4": (101, V4, ethernet(IPV4, V4)),
    "raw 6": (101, V6, ethernet(IPV6, V6)),
    "raw of BSD": (12, V4, ethernet(IPV4, V4)),
    "raw of OpenBSD": (14, V6, ethernet(IPV6, V6)),
    "raw IPv4": (228, V4, ethernet(IPV4, V4)),
    "raw IPv6": (229, V6, ethernet(IPV6, V6)),
    "raw, neither": (101, b"\x50" + V4[1:], ethernet(IPV4, b"\x50" + V4[1:])),
    "SLL": (113, sll(IPV4, V4), ethernet(IPV4, V4, MAC)),
    "SLL, no address": (113, sll(IPV6, V6, length=0), ethernet(IPV6, V6)),
    "SLL, broadcast": (113, sll(ARP_TYPE, ARP_REQUEST, kind=1), ethernet(ARP_TYPE, ARP_REQUEST, MAC, b"\xff" * 6)),
    "SLL, tag": (113, sll(TAG, b"\0\x07\x08\0" + V4), ethernet(TAG, b"\0\x07\x08\0" + V4, MAC)),
    "SLL, LLC": (113, sll(4, b"BB\3hello"), ethernet(8, b"BB\3hello", MAC)),
    "SLL2": (276, sll2(IPV4, V4), ethernet(IPV4, V4, MAC)),
    "SLL2, broadcast": (276, sll2(IPV4, V4, kind=1, length=0), ethernet(IPV4, V4, ZERO, b"\xff" * 6)),
    "PPP": (9, b"\xff\x03\x00\x21" + V4, ethernet(IPV4, V4)),
    "PPP, short": (9, b"\x57" + V6, ethernet(IPV6, V6)),
    "PPP, no address": (9, b"\x00\x57" + V6, ethernet(IPV6, V6)),
    "PPP, LCP": (9, b"\xff\x03\xc0\x21\x01\x01", ethernet(PPP_TYPE, b"\xc0\x21\x01\x01")),
    "HDLC": (50, b"\xff\x03\x00\x21" + V4, ethernet(IPV4, V4)),
    "HDLC, Cisco": (50, b"\x0f\x00\x08\x00" + V4, ethernet(IPV4, V4)),
    "Cisco": (104, b"\x8f\x00\x86\xdd" + V6, ethernet(IPV6, V6)),
    "pppd": (166, b"\x01\xff\x03\x00\x21" + V4, ethernet(IPV4, V4)),
    "PPP with direction": (204, b"\x00\x00\x21" + V4, ethernet(IPV4, V4)),
    "PPPoE": (51, b"\x11\x00\0\1\0\x23\x00\x21" + V4, ethernet(0x8864, b"\x11\x00\0\1\0\x23\x00\x21" + V4)),
    "PPPoE, discovery": (51, b"\x11\x09\0\0\0\0", ethernet(0x8863, b"\x11\x09\0\0\0\0")),
}


def frames_of(path: Path, data: bytes) -> list[bytes]:
    path.write_bytes(data)
    with Capture(path) as capture:
        assert capture.remarks == []
        return [capture.frame(record) for record in capture.records()]


@pytest.mark.parametrize("name", CASES)
def test_a_frame_as_ethernet(tmp_path: Path, name: str) -> None:
    """In every format; what stands in front of the frame is overwritten, and the neighbours are not."""
    link, frame, expected = CASES[name]
    assert frames_of(tmp_path / "one.pcap", pcap([(0, frame)] * 3, link=link)) == [expected] * 3
    blocks = packet(frame, 0) + simple_packet(frame) + packet(frame, 0)
    padded = expected + bytes(0)
    assert frames_of(tmp_path / "one.pcapng", section() + interface(link=link) + blocks) == [padded] * 3


def test_every_link_type_has_a_case() -> None:
    assert {link for link, _, _ in CASES.values()} | {1} == set(LINK_TYPES)


def test_interfaces_of_several_link_types_in_one_file(tmp_path: Path) -> None:
    data = section() + interface() + interface(link=101) + interface(link=276)
    data += packet(ethernet(IPV4, V4, MAC), 0) + packet(V6, 0, number=1) + packet(sll2(IPV4, V4), 0, number=2)
    expected = [ethernet(IPV4, V4, MAC), ethernet(IPV6, V6), ethernet(IPV4, V4, MAC)]
    assert frames_of(tmp_path / "mixed.pcapng", data) == expected


def test_the_true_length_counts_the_ethernet_header(tmp_path: Path) -> None:
    data = section() + interface(link=276) + packet(sll2(IPV4, V4[:28]), 0, original=20 + len(V4))
    path = tmp_path / "snapped.pcapng"
    path.write_bytes(data)
    with Capture(path) as capture:
        (record,) = capture.records()
        assert (record.captured, record.length) == (14 + 28, 14 + len(V4))
        assert capture.frame(record) == ethernet(IPV4, V4[:28] + bytes(len(V4) - 28), MAC)


@pytest.mark.parametrize(
    ("link", "frame", "why"),
    [
        (0, struct.pack("<I", 7) + V4, "of an address family that isn't IP"),
        (113, sll(0x000C, b"can"), "of a protocol that no Ethernet frame has"),
        (113, sll(IPV4, b"")[:15], "shorter than their link header"),
        (276, sll2(IPV4, b"")[:19], "shorter than their link header"),
        (101, b"", "shorter than their link header"),
        (9, b"\xff\x03", "shorter than their link header"),
        (9, b"\x00", "shorter than their link header"),
        (166, b"\x01", "shorter than their link header"),
        (51, b"\x11", "shorter than their link header"),
    ],
)
def test_what_cant_be_shown_costs_itself(tmp_path: Path, link: int, frame: bytes, why: str) -> None:
    path = tmp_path / "capture"
    good = next(known for number, known, _ in CASES.values() if number == link)
    path.write_bytes(pcap([(0, good), (0, frame), (0, good)], link=link))
    with Capture(path) as capture:
        assert len(capture) == 2
        assert capture.unread == {why: 1}
    path.write_bytes(pcap([(0, frame)], link=link))
    with pytest.raises(CaptureRefused, match=f"none of its 1 frames can be replayed: 1 {why}"):
        Capture(path)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(LINK_TYPES)), st.lists(st.binary(max_size=48), max_size=5))
def test_any_bytes_stay_within_the_file(
    tmp_path_factory: pytest.TempPathFactory, link: int, frames: list[bytes]
) -> None:
    """Whatever the link headers say, as many frames are shown or told as there are, and none reads another's bytes."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(pcap([(0, frame) for frame in frames], link=link))
    try:
        with Capture(path) as capture:
            assert len(capture) + capture.unread.total() == len(frames)
            for record in capture.records():
                assert any(frame.endswith(capture.frame(record)[14:]) for frame in frames)
    except CaptureRefused:
        assert frames


@pytest.mark.parametrize("writer", [PcapWriter, PcapNgWriter])
@pytest.mark.parametrize(
    ("made", "ethertype"),
    [
        (CookedLinux(proto=IPV4) / IP(V4), IPV4),
        (CookedLinuxV2(proto=IPV6) / IPv6(V6), IPV6),
        (CookedLinux(proto=TAG) / Dot1Q(vlan=7) / IP(V4), TAG),
        (Loopback(type=2) / IP(V4), IPV4),
        (IP(V4), IPV4),
        (IPv6(V6), IPV6),
    ],
    ids=lambda value: value.summary() if isinstance(value, Packet) else "",
)
def test_what_scapy_writes(tmp_path: Path, writer: type[PcapWriter], made: Packet, ethertype: int) -> None:
    """Another writer's link headers; scapy reads back what we show."""
    path = tmp_path / "scapy"
    with writer(str(path)) as file:
        file.write(made)
    with Capture(path) as capture:
        (record,) = capture.records()
        shown = Ether(capture.frame(record))
    assert shown.type == ethertype
    inner = IPv6 if made.haslayer(IPv6) else IP
    assert bytes(shown[inner]) == (V6 if inner is IPv6 else V4)
