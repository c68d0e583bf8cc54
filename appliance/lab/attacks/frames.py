"""Frames of attacks, ready to be sent, and where in them stands what a sender changes.

                  bare   in a VLAN tag
IP's header from    14        18
source             +12        of IPv6 its last four bytes, +20
IPv4's checksum    +10
TCP's checksum     +16        behind IP's header; UDP's +6, ICMPv6's +2
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from scapy.layers.inet import IP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from appliance.lab.attacks.kinds import BUILDERS, AttackKind, Words
from appliance.lab.attacks.names import VLAN, marker
from appliance.lab.network import SERVER_ETHERNET

VLAN_ID = 100
SHORTEST = 60  # bytes, as on a wire; the checksum behind them is the card's
_BARE, _TAGGED = 14, 18
_IPV4_BYTES, _IPV6_BYTES = 20, 40
_CHECKSUM_AT = {6: 16, 17: 6, 58: 2}  # by IP protocol; ICMP's own doesn't cover addresses


@dataclass(frozen=True, slots=True)
class AttackFrame:
    """One frame and its places, as offsets; None where the frame has no such thing. `source` is where the four bytes of
    the source are that may be changed, `checksum` the one that covers addresses, ports and `words`, which are those of
    AttackKind from the frame's beginning."""

    attack: str
    data: bytes
    source: int
    ip_checksum: int | None
    checksum: int | None
    words: Words


def attack_frames(dealt: Sequence[str], seed: int = 1) -> list[AttackFrame]:
    """A frame of the attack named, for each name that was dealt; those of one datagram follow each other."""
    random = Random(seed)
    sources = {name: _endless(name, random) for name in dict.fromkeys(dealt)}
    return [next(sources[name]) for name in dealt]


def _endless(name: str, random: Random) -> Iterator[AttackFrame]:
    wrapped = name.endswith(VLAN)
    kind = BUILDERS[name.removesuffix(VLAN)]
    head = Ether(src=marker(name), dst=SERVER_ETHERNET)
    if wrapped:
        head /= Dot1Q(vlan=VLAN_ID)
    while True:
        for packet in kind.build(random):
            data = bytes(head / packet).ljust(SHORTEST, b"\0")
            yield _placed(name, data, packet, _TAGGED if wrapped else _BARE, kind)


def _placed(name: str, data: bytes, packet: Packet, begins: int, kind: AttackKind) -> AttackFrame:
    is_ipv4 = IP in packet
    ends = begins + (_IPV4_BYTES if is_ipv4 else _IPV6_BYTES)
    checksum = _CHECKSUM_AT.get(packet.proto if is_ipv4 else packet.nh)
    if is_ipv4 and packet.frag:
        checksum = None  # it stands in the first fragment
    return AttackFrame(
        attack=name,
        data=data,
        source=begins + (12 if is_ipv4 else 20),
        ip_checksum=begins + 10 if is_ipv4 else None,
        checksum=None if checksum is None else ends + checksum,
        words=tuple((ends + offset, bits) for offset, bits in kind.words),
    )
