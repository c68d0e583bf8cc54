"""The lab's attacks: what their frames look like, and how each can be told apart at the server.

Every attack has an Ethernet source address of its own, 02:ad:00:00:00:NN, which no filter looks at and by which the
server's side counts what arrived. Each attack comes twice: bare, and wrapped in a VLAN tag (IEEE 802.1Q), because a
filter that stops at the tag lets the second copy pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random

from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from appliance.lab.names import ATTACK_NAMES, marker
from appliance.lab.network import SERVER_ETHERNET, SERVER_IPV4

VLAN_ID = 100
IPV4_SOURCE = 26  # where the source address begins in an untagged frame
# First bytes of networks that no forged source is taken from: private, loopback, test, multicast and the lab's own.
RESERVED_FIRST_BYTES = frozenset({0, 10, 100, 127, 169, 172, 192, 198, 203, *range(224, 256)})


@dataclass(frozen=True, slots=True)
class AttackFrame:
    """One frame ready to send, which attack it belongs to, and where its IPv4 source address begins."""

    attack: str
    data: bytes
    source_offset: int


def random_source(random: Random) -> str:
    """A public-looking address."""
    first = random.choice([byte for byte in range(1, 224) if byte not in RESERVED_FIRST_BYTES])
    return str(IPv4Address(first << 24 | random.getrandbits(24)))


def syn(random: Random) -> Iterator[Packet]:
    """A connection request from somebody who does not exist."""
    options = [("MSS", 1460), ("SAckOK", b""), ("WScale", 7)]
    sport, seq = random.randrange(1024, 65536), random.getrandbits(32)
    yield _ip(random) / TCP(sport=sport, dport=80, flags="S", seq=seq, options=options)


def ntp(random: Random) -> Iterator[Packet]:
    """A mode 7 monlist answer, as an open NTP server sends to whom it believes to have asked."""
    yield _reflected(random, 123, b"\xd7\x00\x03\x2a" + random.randbytes(436))


def dns(random: Random) -> Iterator[Packet]:
    """A large answer to an ANY question that the server never asked."""
    yield _reflected(random, 53, random.randbytes(2) + b"\x81\x80\0\1\0\x10\0\0\0\0" + random.randbytes(1000))


def memcached(random: Random) -> Iterator[Packet]:
    """A memcached answer over UDP, one frame full."""
    yield _reflected(random, 11211, b"\0\0\0\0\0\1\0\0VALUE a 0 1300\r\n" + random.randbytes(1300))


def fragments(random: Random) -> Iterator[Packet]:
    """A UDP datagram in three fragments."""
    datagram = _ip(random) / UDP(sport=4444, dport=4444) / Raw(random.randbytes(4000))
    yield from fragment(datagram, fragsize=1480)  # type: ignore[no-untyped-call]


def xmas(random: Random) -> Iterator[Packet]:
    """A scan with the flags FIN, PSH and URG, lit like a Christmas tree."""
    yield _ip(random) / TCP(sport=random.randrange(1024, 65536), dport=random.randrange(1, 1024), flags="FPU")


BUILDERS: dict[str, Callable[[Random], Iterator[Packet]]] = {
    "syn": syn,
    "ntp": ntp,
    "dns": dns,
    "memcached": memcached,
    "fragments": fragments,
    "xmas": xmas,
}


def attack_frames(each: int, seed: int = 1) -> list[AttackFrame]:
    """`each` frames of every attack and of its VLAN copy, dealt out evenly: one of each in turn."""
    random = Random(seed)
    by_attack = []
    for name in ATTACK_NAMES:
        plain, _, wrapped = name.partition("+")
        by_attack.append(_frames(name, BUILDERS[plain], bool(wrapped), each, random))
    return [frame for turn in zip(*by_attack, strict=True) for frame in turn]


def _frames(
    name: str, build: Callable[[Random], Iterator[Packet]], wrapped: bool, each: int, random: Random
) -> list[AttackFrame]:
    head = Ether(src=marker(name), dst=SERVER_ETHERNET)
    if wrapped:
        head /= Dot1Q(vlan=VLAN_ID)
    offset = IPV4_SOURCE + 4 * wrapped
    frames: list[AttackFrame] = []
    while len(frames) < each:
        frames += (AttackFrame(name, bytes(head / packet).ljust(60, b"\0"), offset) for packet in build(random))
    return frames[:each]


def _ip(random: Random) -> Packet:
    source, identity = random_source(random), random.getrandbits(16)
    return IP(src=source, dst=SERVER_IPV4, ttl=random.randrange(40, 64), id=identity)


def _reflected(random: Random, sport: int, payload: bytes) -> Packet:
    return _ip(random) / UDP(sport=sport, dport=random.randrange(1024, 65536)) / Raw(payload)
