"""The attackers' frames: what they look like, and how the shares deal them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from appliance.errors import CannotRun
from appliance.lab.attacks.frames import AttackFrame, attack_frames
from appliance.lab.attacks.kinds import BUILDERS
from appliance.lab.attacks.mix import USUAL_MIX, deal, read_mix
from appliance.lab.attacks.names import ATTACK_NAMES, KINDS, marker
from appliance.lab.network import SERVER_IPV4, SERVER_IPV6
from tests.appliance.lab.attacks.checksums import checksums_are_right

EACH = 9
ALL = dict.fromkeys(ATTACK_NAMES, 1.0)


@pytest.fixture(scope="module")
def frames() -> list[AttackFrame]:
    return attack_frames(deal(ALL, EACH * len(ALL)))


def test_every_attack_has_a_builder_and_a_vlan_copy() -> None:
    assert list(BUILDERS) == list(KINDS)
    assert set(ATTACK_NAMES) == {*BUILDERS, *(f"{name}+vlan" for name in BUILDERS)}
    assert len({marker(name) for name in ATTACK_NAMES}) == len(ATTACK_NAMES)


def test_frames_are_dealt_out_evenly_and_reproducibly(frames: list[AttackFrame]) -> None:
    assert Counter(frame.attack for frame in frames) == dict.fromkeys(ATTACK_NAMES, EACH)
    assert [frame.attack for frame in frames[: len(ATTACK_NAMES)]] == list(ATTACK_NAMES)
    assert attack_frames(deal(ALL, EACH * len(ALL))) == frames


def test_shares_are_kept_and_nobody_is_left_out() -> None:
    assert Counter(deal({"syn": 3, "dns": 1}, 240)) == {"syn": 180, "dns": 60}
    assert deal({"syn": 3, "dns": 1}, 4) == ["syn", "syn", "dns", "syn"]
    rare = Counter(deal({"syn": 1e6, "dns": 1, "ntp": 1}, 100))
    assert rare == {"syn": 98, "dns": 1, "ntp": 1}


def test_shares_as_they_are_written() -> None:
    assert read_mix([]) == USUAL_MIX
    assert read_mix(["syn=3", "dns+vlan", "ack=0.5"]) == {"syn": 3.0, "dns+vlan": 1.0, "ack": 0.5}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sin=3", "no attack is called 'sin'\n  hint: there are syn, ntp, dns, "),
        ("syn=much", "syn=much: a share is a number above 0\n  hint: for example syn=3"),
        ("syn=0", "syn=0: a share is a number above 0"),
        ("syn=nan", "syn=nan: a share is a number above 0"),
    ],
)
def test_wrong_shares_are_refused(word: str, message: str) -> None:
    with pytest.raises(CannotRun) as raised:
        read_mix([word])
    assert str(raised.value).startswith(message)


def test_frames_are_whole_and_marked(frames: list[AttackFrame]) -> None:
    for frame in frames:
        parsed = Ether(frame.data)
        assert 60 <= len(frame.data) <= 1518
        assert parsed.src == marker(frame.attack)
        assert (Dot1Q in parsed) == frame.attack.endswith("+vlan")
        assert checksums_are_right(frame.data)
        ip, server = (parsed[IP], SERVER_IPV4) if IP in parsed else (parsed[IPv6], SERVER_IPV6)
        assert ip.dst == server
        assert ip_address(ip.src).packed[-4:] == frame.data[frame.source : frame.source + 4]


def _tcp(flags: str) -> Callable[[Packet], bool]:
    return lambda frame: bool(frame[TCP].flags == flags)


def _answer(port: int, least: int) -> Callable[[Packet], bool]:
    return lambda frame: bool(frame[UDP].sport == port and len(frame[UDP]) >= least)


WHAT: dict[str, Callable[[Packet], bool]] = {
    "syn": lambda frame: frame[TCP].flags == "S" and frame[TCP].dport == 80 and frame[TCP].ack == 0,
    "ntp": _answer(123, 440),
    "dns": _answer(53, 1000),
    "memcached": _answer(11211, 1300),
    "fragments": lambda frame: bool(frame[IP].frag or frame[IP].flags.MF),
    "xmas": _tcp("FPU"),
    "ssdp": _answer(1900, 250),
    "cldap": _answer(389, 1400),
    "syn-ack": lambda frame: frame[TCP].flags == "SA" and frame[TCP].sport == 443,
    "ack": _tcp("A"),
    "rst": _tcp("R"),
    "null": _tcp(""),
    "syn-fin": _tcp("SF"),
    "udp": lambda frame: frame[UDP].sport >= 1024,
    "icmp": lambda frame: frame[ICMP].type == 8,
    "icmpv6": lambda frame: ICMPv6EchoRequest in frame,
}


@pytest.mark.parametrize("attack", KINDS)
def test_an_attack_is_what_its_name_says(frames: list[AttackFrame], attack: str) -> None:
    mine = [Ether(frame.data) for frame in frames if frame.attack.partition("+")[0] == attack]
    assert len(mine) == 2 * EACH
    assert all(WHAT[attack](frame) for frame in mine)
