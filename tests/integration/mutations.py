"""Frames that are nearly right: valid ones of every protocol that rules know, wrapped, cut, stretched and damaged."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet

MACS = {"dst": "02:00:00:00:00:02", "src": "02:00:00:00:00:01"}
LONGEST = 3000  # bytes: what the kernel takes in a test run
_RECORD_ROUTE = b"\x07\x07\x04" + bytes(4) + b"\x00"  # RFC 791, with room for one address, and the end
SOURCES = ("10.1.2.3", "127.0.0.1", "198.51.99.7", "203.0.100.9", "8.8.8.8", "224.0.0.1", "100.64.0.1")
SOURCES6 = ("2001:4860::8", "::1", "fe80::1", "2001:db8::1", "fc00::7", "ff02::1", "2606:4700::9")
TARGETS = ("203.0.113.5", "203.0.113.6", "100.64.9.9")
PORTS = (0, 17, 19, 22, 53, 80, 123, 389, 443, 500, 1900, 4500, 11211, 65535)
FLAGS = ("", "S", "SA", "A", "R", "RA", "F", "FA", "SF", "SR", "FPU", "PA", "FSRPAUEC")


def _rarely(dice: random.Random, *wrong: int) -> int | None:
    """A wrong value for a field, one time in eight; else None, and scapy puts the right one."""
    return dice.choice(wrong) if dice.random() < 1 / 8 else None


def _transport(dice: random.Random) -> Packet:
    ports = {"sport": dice.choice(PORTS), "dport": dice.choice(PORTS)}
    payload = bytes(dice.choice((0, 1, 7, 48, 200, 512, 600, 1400)))
    kinds: tuple[Callable[[], Packet], ...] = (
        lambda: (
            TCP(
                flags=dice.choice(FLAGS),
                seq=dice.getrandbits(32),
                window=dice.choice((0, 8192)),
                urgptr=dice.choice((0, 0, 7)),
                options=dice.choice(([], [("MSS", 1460), ("NOP", None), ("WScale", 7)])),
                dataofs=_rarely(dice, 4, 15),
                **ports,
            )
            / payload
        ),
        lambda: UDP(len=_rarely(dice, 7, 9, 60000), **ports) / payload,
        lambda: ICMP(type=dice.choice((0, 3, 5, 8, 9, 11, 13))) / payload,
    )
    return dice.choice(kinds)()


def _other(dice: random.Random) -> tuple[int, bytes]:
    """A protocol that few rules ask for: its number, and a header of mostly random bytes."""
    protocol = dice.choice((2, 50, 51, 51, 89, 89, 112, 132, 132))
    header = bytearray(dice.randbytes(dice.choice((7, 24, 24, 40))))
    if protocol == 51:
        header[:2] = bytes((dice.choice((6, 17, 1, 50)), dice.choice((1, 1, 4, 200))))
    elif protocol in (89, 112):
        header[0] = dice.choice((2, 2, 3, 0x21, 0x31))
    elif protocol == 132:
        header[:4] = b"".join(dice.choice((22, 80, 999)).to_bytes(2, "big") for _ in range(2))
    return protocol, bytes(header) + bytes(20)


def _ipv4(dice: random.Random) -> Packet:
    fragment = dice.choice(
        ({}, {}, {}, {}, {}, {"flags": "MF"}, {"flags": "MF"}, {"flags": "evil"}, {"frag": 1}, {"frag": 100})
    )
    options = dice.choice(([], [], [b"\x01" * 4], [b"\x01" * 40], [_RECORD_ROUTE]))
    head = IP(
        src=dice.choice(SOURCES), dst=dice.choice(TARGETS), ttl=dice.choice((1, 64, 255)), options=options, **fragment
    )
    head.len, head.ihl = _rarely(dice, 0, 19, 29, 60000), _rarely(dice, 4, 15)
    head.tos, head.id = dice.choice((0, 0xB8, 0x21, 3)), dice.choice((0, 1, 54321))
    if dice.random() < 1 / 4:
        head.proto, rest = _other(dice)
        return head / rest
    return head / _transport(dice)


def _ipv6(dice: random.Random) -> Packet:
    packet = IPv6(src=dice.choice(SOURCES6), dst="2001:db8:5::5", hlim=dice.choice((1, 64)))
    packet.tc, packet.fl = dice.choice((0, 0xB8, 0x21, 3)), dice.choice((0, 5, 0xFFFFF))
    packet.version, packet.plen = _rarely(dice, 4) or 6, _rarely(dice, 0, 9, 60000)
    for _ in range(dice.choice((0, 0, 1, 1, 2, 7, 9))):
        packet /= dice.choice(
            (
                IPv6ExtHdrHopByHop,
                IPv6ExtHdrDestOpt,
                IPv6ExtHdrRouting,
                lambda: IPv6ExtHdrFragment(offset=dice.choice((0, 9))),
            )
        )()
    if dice.random() < 1 / 4:
        protocol, rest = _other(dice)
        packet.lastlayer().nh = protocol
        return packet / rest
    return packet / dice.choice((_transport(dice), ICMPv6EchoRequest(data=b"x" * 30)))


def _arp(dice: random.Random) -> Packet:
    addresses = {"psrc": dice.choice(TARGETS), "pdst": dice.choice(SOURCES[:4]), "hwsrc": MACS["src"]}
    return ARP(op=dice.choice((1, 2, 256)), hwtype=_rarely(dice, 6) or 1, **addresses)


def valid(dice: random.Random) -> bytes:
    """A frame as somebody could send it."""
    frame = Ether(**MACS)
    for _ in range(dice.choice((0, 0, 0, 1, 2, 4, 5))):
        frame /= dice.choice((Dot1Q, Dot1AD))(vlan=dice.choice((0, 1, 100, 4095)))
    return bytes(frame / dice.choice((_ipv4, _ipv4, _ipv6, _arp))(dice))


def _cut(dice: random.Random, frame: bytearray) -> None:
    del frame[dice.randrange(len(frame) + 1) :]


def _cut_in_the_headers(dice: random.Random, frame: bytearray) -> None:
    del frame[dice.randrange(14, 90) :]


def _stretch(dice: random.Random, frame: bytearray) -> None:
    frame += bytes(dice.randrange(1, 100))


def _damage_anywhere(dice: random.Random, frame: bytearray) -> None:
    for _ in range(dice.randrange(1, 4)):
        if frame:
            frame[dice.randrange(min(len(frame), 100))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def _flip_a_bit(dice: random.Random, frame: bytearray) -> None:
    if frame:
        frame[dice.randrange(12, max(13, min(len(frame), 80))) % len(frame)] ^= 1 << dice.randrange(8)


MUTATIONS = (_cut, _cut_in_the_headers, _stretch, _damage_anywhere, _damage_anywhere, _flip_a_bit, _flip_a_bit)


def frames(seed: int, count: int) -> Iterator[bytes]:
    """The same frames for the same seed: a quarter of them valid, the others damaged once or twice."""
    dice = random.Random(seed)
    for _ in range(count):
        frame = bytearray(valid(dice))
        for _ in range(dice.choice((0, 1, 1, 2))):
            dice.choice(MUTATIONS)(dice, frame)
        yield bytes(frame[:LONGEST])
