"""The attackers' frames: what they look like, that they stay right while their sources move, and their count."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from appliance.lab.attacks import BUILDERS, AttackFrame, attack_frames
from appliance.lab.flood import Flood
from appliance.lab.names import ATTACK_NAMES, marker
from appliance.lab.network import SERVER_IPV4
from tests.netns import Topology

EACH = 9


@pytest.fixture(scope="module")
def frames() -> list[AttackFrame]:
    return attack_frames(EACH)


def checksums_are_right(data: bytes) -> bool:
    """Whether scapy, computing them anew, comes to the same IP, TCP and UDP checksums. Fragments: IP alone."""
    frame = Ether(data)
    again = Ether(data)
    layers = [IP] if frame[IP].frag or frame[IP].flags.MF else [IP, TCP if TCP in frame else UDP]
    for layer in layers:
        del again[layer].chksum
    again = Ether(bytes(again))
    # 0 and 0xFFFF are the same number to a checksum (RFC 1624).
    return all(frame[layer].chksum % 0xFFFF == again[layer].chksum % 0xFFFF for layer in layers)


def test_every_attack_has_a_builder_and_a_vlan_copy() -> None:
    assert set(ATTACK_NAMES) == {*BUILDERS, *(f"{name}+vlan" for name in BUILDERS)}
    assert len({marker(name) for name in ATTACK_NAMES}) == len(ATTACK_NAMES)


def test_frames_are_dealt_out_evenly_and_reproducibly(frames: list[AttackFrame]) -> None:
    assert Counter(frame.attack for frame in frames) == dict.fromkeys(ATTACK_NAMES, EACH)
    assert [frame.attack for frame in frames[: len(ATTACK_NAMES)]] == list(ATTACK_NAMES)
    assert attack_frames(EACH) == frames


def test_frames_are_whole_and_marked(frames: list[AttackFrame]) -> None:
    for frame in frames:
        parsed = Ether(frame.data)
        assert 60 <= len(frame.data) <= 1518
        assert parsed.src == marker(frame.attack)
        assert (Dot1Q in parsed) == frame.attack.endswith("+vlan")
        assert parsed[IP].dst == SERVER_IPV4
        assert ip_address(parsed[IP].src).packed == frame.data[frame.source_offset : frame.source_offset + 4]
        assert checksums_are_right(frame.data)


@pytest.mark.parametrize(
    ("attack", "what"),
    [
        ("syn", lambda frame: frame[TCP].flags == "S" and frame[TCP].dport == 80),
        ("ntp", lambda frame: frame[UDP].sport == 123 and len(frame[UDP]) >= 440),
        ("dns", lambda frame: frame[UDP].sport == 53 and len(frame[UDP]) >= 1000),
        ("memcached", lambda frame: frame[UDP].sport == 11211 and len(frame[UDP]) >= 1300),
        ("fragments", lambda frame: bool(frame[IP].frag or frame[IP].flags.MF)),
        ("xmas", lambda frame: frame[TCP].flags == "FPU"),
    ],
)
def test_an_attack_is_what_its_name_says(frames: list[AttackFrame], attack: str, what: object) -> None:
    mine = [Ether(frame.data) for frame in frames if frame.attack.partition("+")[0] == attack]
    assert len(mine) == 2 * EACH
    assert callable(what)
    assert all(what(frame) for frame in mine)


@pytest.mark.netns
def test_a_flood_moves_its_sources_and_counts_what_left(topology: Topology, frames: list[AttackFrame]) -> None:
    rounds = 3
    with topology.bridge(), topology.inside.packet_socket() as far:
        with topology.outside.entered():
            flood = Flood("eth0", frames)
        while flood.sent < rounds * len(frames):
            flood.send(20)
        flood.send(5)
        arrived = far.receive(flood.sent)
    assert len(arrived) == flood.sent == rounds * len(frames) + 5
    by_attack = Counter(Ether(data).src for data in arrived)
    assert {name: [by_attack[marker(name)]] for name in ATTACK_NAMES} == flood.counts()
    assert all(checksums_are_right(data) for data in arrived)
    sources = {Ether(data)[IP].src for data in arrived}
    assert len(sources) > 2 * len(frames) * 0.7  # three fragments share one; some moves would leave public addresses
    assert all(ip_address(source).is_global for source in sources)
