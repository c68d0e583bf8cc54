"""Random packets in packets: every kind of tunnel around each other, with fragments, extension headers and tags."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

HOSTS = ("192.0.2.1", "192.0.2.77", "198.51.100.9", "10.1.2.3")
HOSTS6 = ("2001:db8::1", "2001:db8::2", "2001:db8:1::1", "fe80::1")
MOST = 5  # tunnels in each other
Chance = random.Random


def nested_frame(chance: Chance, most: int = MOST) -> bytes:
    """A frame with up to so many tunnels; now and then a byte is changed or the end is missing."""
    frame = bytearray(bytes(_ethernet(chance, chance.randrange(most + 1))))
    kind = chance.random()
    if kind < 0.15:
        place = chance.randrange(len(frame))
        frame[place] = chance.choice((chance.randrange(256), frame[place] ^ 1 << chance.randrange(8)))
    elif kind < 0.3:
        del frame[chance.randrange(len(frame)) :]
    elif kind < 0.4:
        frame += bytes(chance.randrange(40))
    return bytes(frame)


def _ethernet(chance: Chance, depth: int) -> Packet:
    packet = Ether(dst=f"02:00:00:00:00:0{chance.randrange(4)}", src="02:00:00:00:00:01")
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        packet /= chance.choice((Dot1Q, Dot1AD))(vlan=chance.randrange(4096))
    links: list[Callable[[Chance, int], Packet]] = [_mpls, _pppoe]
    if depth and chance.random() < 0.2:
        return packet / chance.choice(links)(chance, depth - 1)
    if not depth and chance.random() < 0.1:
        return packet / chance.choice((ARP(), Raw(b"no packet at all")))
    return packet / _ip(chance, depth)


def _ip(chance: Chance, depth: int) -> Packet:
    """IPv4 or IPv6, with what may stand between it and what it carries; sometimes a fragment."""
    upper = _tunnel(chance, depth - 1) if depth else _transport(chance)
    fragment = chance.choice((None,) * 8 + ("first", "later", "atomic"))
    if chance.random() < 0.5:
        flags, offset = {"first": ("MF", 0), "later": ("", 3)}.get(str(fragment), ("", 0))
        options = [IPOption_RR()] if chance.random() < 0.1 else []
        header = IP(
            src=chance.choice(HOSTS), dst=chance.choice(HOSTS), flags=flags, frag=offset, ttl=chance.choice((1, 64))
        )
        header.options = options
        between: list[Packet] = [_ah(chance)] if chance.random() < 0.1 else []
    else:
        header = IPv6(src=chance.choice(HOSTS6), dst=chance.choice(HOSTS6), hlim=chance.choice((1, 64)))
        extensions = (IPv6ExtHdrHopByHop(), IPv6ExtHdrRouting(), IPv6ExtHdrDestOpt(), _ah(chance))
        between = [chance.choice(extensions).copy() for _ in range(chance.choice((0, 0, 0, 1, 2, 3, 8, 9)))]
        if fragment:
            more, offset = {"first": (1, 0), "later": (0, 3), "atomic": (0, 0)}[fragment]
            between.insert(chance.randrange(len(between) + 1), IPv6ExtHdrFragment(m=more, offset=offset))
    packet = header
    for each in between:
        packet /= each
    packet /= upper
    if chance.random() < 0.5 and fragment == "first":  # what is wrapped goes on in other fragments
        whole = bytes(packet)
        return Raw(shortened(whole, chance.randrange(1, 40)))
    return packet


def shortened(packet: bytes, size: int) -> bytes:
    """An IP packet that ends earlier, and says so."""
    at, header = (2, (packet[0] & 15) * 4) if packet[0] >> 4 == 4 else (4, 40)
    less = min(size, len(packet) - header)
    if less <= 0:
        return packet
    (length,) = struct.unpack_from("!H", packet, at)
    changed = bytearray(packet[:-less])
    struct.pack_into("!H", changed, at, max(length - less, 0))
    return bytes(changed)


def _ah(chance: Chance) -> Packet:
    return AH(spi=chance.randrange(1 << 32), seq=7, icv=b"0123", payloadlen=2)


def _transport(chance: Chance) -> Packet:
    ports = {"sport": chance.choice((53, 1000)), "dport": chance.choice((53, 80, 2152, 4789, 6081))}
    data = Raw(chance.choice((b"", b"payload", b"\x08" + bytes(40), b"\x30\xff" + bytes(40), bytes(40))))
    return chance.choice(
        (
            TCP(**ports, flags=chance.choice(("S", "SA", "A"))),
            UDP(**ports) / data,
            UDP(**ports) / data,
            ICMP(type=chance.choice((0, 8))),
            ICMPv6EchoRequest(),
            Raw(b"of another protocol"),
        )
    )


def _tunnel(chance: Chance, depth: int) -> Packet:
    """What stands in IP, and what it wraps, with so many tunnels in that."""
    return chance.choice((_ip, _gre, _vxlan, _geneve, _gtp, _mpls))(chance, depth)


def _gre(chance: Chance, depth: int) -> Packet:
    header = GRE(version=chance.choice((0,) * 15 + (1,)))
    if chance.random() < 0.3:
        header.chksum_present, header.chksum = 1, 1
    if chance.random() < 0.5:
        header.key_present, header.key = 1, chance.randrange(1 << 32)
    if chance.random() < 0.3:
        header.seqnum_present, header.sequence_number = 1, 1
    return header / _behind_ethertype(chance, depth)


def _behind_ethertype(chance: Chance, depth: int) -> Packet:
    writers: list[Callable[[Chance, int], Packet]] = [_ip, _ip, _ethernet, _mpls if depth else _ip]
    return chance.choice(writers)(chance, depth)


def _vxlan(chance: Chance, depth: int) -> Packet:
    flags = chance.choice((8,) * 9 + (0,))
    return UDP(sport=1, dport=4789) / VXLAN(flags=flags, vni=chance.randrange(1 << 24)) / _ethernet(chance, depth)


def _geneve(chance: Chance, depth: int) -> Packet:
    inner = _behind_ethertype(chance, depth)
    options = bytes(4 * chance.choice((0, 0, 1, 5, 63)))
    number = {"Ether": 0x6558, "IP": 0x0800, "IPv6": 0x86DD, "MPLS": 0x8847}.get(type(inner).__name__, 0x0800)
    head = struct.pack("!BBHI", len(options) // 4, 0, number, chance.randrange(1 << 24) << 8)
    return UDP(sport=1, dport=6081) / Raw(head + options) / inner


def _gtp(chance: Chance, depth: int) -> Packet:
    inner = _ip(chance, depth)
    extensions = chance.choice((0, 0, 0, 1, 2, 4, 5))
    is_there = extensions > 0 or chance.random() < 0.2
    flags = 0x30 | 4 * bool(extensions) | 2 * is_there
    head = struct.pack("!BBHI", flags, 255, 0, chance.randrange(1 << 32))
    return UDP(sport=1, dport=2152) / Raw(head + _gtp_optional(chance, extensions, is_there)) / inner


def _gtp_optional(chance: Chance, extensions: int, is_there: bool) -> bytes:
    """Sequence number and the rest, then extension headers: length in units of 4 bytes … type of the next one."""
    if not is_there:
        return b""
    found = bytes(3) + (b"\x85" if extensions else b"\0")
    for left in reversed(range(extensions)):
        units = chance.choice((1, 1, 2))
        found += bytes([units]) + bytes(4 * units - 2) + (b"\xc0" if left else b"\0")
    return found


def _mpls(chance: Chance, depth: int) -> Packet:
    count = chance.choice((1, 1, 2, 3, 8, 9))
    packet: Packet = MPLS(label=chance.randrange(1 << 20), s=int(count == 1))
    for number in range(1, count):
        packet /= MPLS(label=chance.randrange(1 << 20), s=int(number == count - 1))
    return packet / _ip(chance, depth)


def _pppoe(chance: Chance, depth: int) -> Packet:
    inner = _ip(chance, depth)
    version = bytes(inner)[0] >> 4
    return PPPoE(sessionid=chance.randrange(1 << 16)) / PPP(proto={4: 0x21, 6: 0x57}[version]) / inner
