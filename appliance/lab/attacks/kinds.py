"""What the frames of each attack look like, and what of them is drawn anew for every frame that is sent.

Every attack has an Ethernet source address of its own, 02:ad:00:00:00:NN, which no filter looks at and by which the
server's side counts what arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Packet, Raw

from appliance.lab.network import SERVER_IPV4, SERVER_IPV6

# First bytes of networks that no forged source is taken from: private, loopback, test, multicast and the lab's own.
RESERVED_FIRST_BYTES = frozenset({0, 10, 100, 127, 169, 172, 192, 198, 203, *range(224, 256)})
HTTP = 80

# 16-bit words that are drawn anew: how far behind IP's header they stand, and the bits of them that are always set.
Words = tuple[tuple[int, int], ...]
UNPRIVILEGED = 0x0400  # of a port: at least 1024
SPORT, DPORT = (0, UNPRIVILEGED), (2, UNPRIVILEGED)
SEQUENCE = ((4, 0), (6, 0))  # of TCP
HOST_OF_IPV6 = ((-24, 0), (-22, 0))  # of an IPv6 source; its last four bytes are drawn anew as IPv4's are


@dataclass(frozen=True, slots=True)
class AttackKind:
    """`build` makes the packets of one blow, from IP on. The source's last four bytes are drawn anew in any case."""

    build: Callable[[Random], Iterator[Packet]]
    words: Words = ()


def random_source(random: Random) -> str:
    """A public-looking address."""
    first = random.choice([byte for byte in range(1, 224) if byte not in RESERVED_FIRST_BYTES])
    return str(IPv4Address(first << 24 | random.getrandbits(24)))


def fragments(random: Random) -> Iterator[Packet]:
    """A UDP datagram in three fragments."""
    datagram = _ip(random) / UDP(sport=4444, dport=4444) / Raw(random.randbytes(4000))
    yield from fragment(datagram, fragsize=1480)  # type: ignore[no-untyped-call]


def tcp(flags: str, sport: int | None = None, dport: int | None = HTTP, asks: bool = False) -> AttackKind:
    """TCP without data; a port that is None is random. `asks`: with the options of a connection request."""
    options = [("MSS", 1460), ("SAckOK", b""), ("WScale", 7)] if asks else []

    def build(random: Random) -> Iterator[Packet]:
        ends = TCP(sport=sport or _port(random), dport=dport or _port(random), flags=flags, options=options)
        ends.seq, ends.ack = random.getrandbits(32), int("A" in flags)
        yield _ip(random) / ends

    drawn = (*(() if sport else (SPORT,)), *(() if dport else (DPORT,)), *SEQUENCE)
    return AttackKind(build, drawn)


def reflected(sport: int, begins: bytes, length: int) -> AttackKind:
    """A service's UDP answer of `length` random bytes behind those that it begins with."""

    def build(random: Random) -> Iterator[Packet]:
        yield _ip(random) / UDP(sport=sport, dport=_port(random)) / Raw(begins + random.randbytes(length))

    return AttackKind(build, (DPORT,))


def udp(random: Random) -> Iterator[Packet]:
    yield _ip(random) / UDP(sport=_port(random), dport=_port(random)) / Raw(random.randbytes(64))


def icmp(random: Random) -> Iterator[Packet]:
    yield _ip(random) / ICMP(id=random.getrandbits(16)) / Raw(random.randbytes(56))


def icmpv6(random: Random) -> Iterator[Packet]:
    host = ":".join(f"{random.getrandbits(16):x}" for _ in range(4))
    source = f"2400:cb00:{random.getrandbits(16):x}:1:{host}"
    yield IPv6(src=source, dst=SERVER_IPV6) / ICMPv6EchoRequest(data=random.randbytes(56))


BUILDERS: dict[str, AttackKind] = {
    "syn": tcp("S", asks=True),
    "ntp": reflected(123, b"\xd7\x00\x03\x2a", 436),  # mode 7, monlist
    "dns": reflected(53, b"\x2a\x2a\x81\x80\0\1\0\x10\0\0\0\0", 1000),
    "memcached": reflected(11211, b"\0\0\0\0\0\1\0\0VALUE a 0 1300\r\n", 1300),
    "fragments": AttackKind(fragments),
    "xmas": tcp("FPU", dport=None),
    "ssdp": reflected(1900, b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n", 260),
    "cldap": reflected(389, b"\x30\x84\0\0\x0b\x52\x02\x01\x01\x64", 1400),
    "syn-ack": tcp("SA", sport=443, dport=None),
    "ack": tcp("A"),
    "rst": tcp("R"),
    "null": tcp("", dport=None),
    "syn-fin": tcp("SF"),
    "udp": AttackKind(udp, (SPORT, DPORT)),
    "icmp": AttackKind(icmp),
    "icmpv6": AttackKind(icmpv6, HOST_OF_IPV6),
}


def _port(random: Random) -> int:
    return random.randrange(1024, 65536)


def _ip(random: Random) -> Packet:
    source, identity = random_source(random), random.getrandbits(16)
    return IP(src=source, dst=SERVER_IPV4, ttl=random.randrange(40, 64), id=identity)
