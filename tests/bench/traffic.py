"""A capture of a million frames such as cross a network's edge, most of them small.

    60 % UDP between random hosts       64 to 200 bytes
    18 % TCP data                       one in three with 1460 bytes, the others short or an ACK alone
     8 % TCP SYN from random sources
     6 % IPv6, UDP and TCP
     5 % in a VLAN tag, some in two
     2 % fragments of UDP
     1 % ICMP echoes

Checksums are not filled in: nothing between two interfaces looks at them. The frames of one kind come from templates
whose addresses and ports are drawn anew for every frame; one seed, one capture.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

FRAMES = 1_000_000
SPACING_NS = 1000  # on the capture's clock: a million frames a second
PCAP_NANOSECONDS = 0xA1B23C4D

_ETHERNET = bytes.fromhex("020000000002020000000001")
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_UDP, _TCP, _ICMP = 17, 6, 1
_SYN, _ACK, _PSH_ACK = 0x02, 0x10, 0x18


def write_capture(path: Path, frames: int = FRAMES) -> None:
    """Write the capture, nanosecond pcap, frame after frame."""
    chance = random.Random(20)
    kinds, weights = zip(*KINDS.items(), strict=True)
    record = struct.Struct("<IIII")
    with path.open("wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHiIII", PCAP_NANOSECONDS, 2, 4, 0, 0, 65535, 1))
        for number, kind in enumerate(chance.choices(kinds, weights, k=frames)):
            frame = kind(chance)
            seconds, nanoseconds = divmod(number * SPACING_NS, 1_000_000_000)
            file.write(record.pack(seconds, nanoseconds, len(frame), len(frame)) + frame)


def _ipv4(chance: random.Random, protocol: int, length: int, fragment: int = 0) -> bytes:
    """Header of a packet with `length` bytes behind it, from a source outside every set of bogons."""
    source = chance.randrange(16 << 24, 80 << 24)
    return struct.pack("!BBHHHBBHII", 0x45, 0, 20 + length, 0, fragment, 64, protocol, 0, source, 0x0A000002)


def _udp(chance: random.Random) -> bytes:
    size = chance.choice((22, 22, 22, 50, 86, 158))
    return _ETHERNET + _IPV4 + _ipv4(chance, _UDP, 8 + size) + _udp_header(chance, size) + bytes(size)


def _udp_header(chance: random.Random, size: int) -> bytes:
    return struct.pack("!HHHH", chance.randrange(32768, 60000), chance.randrange(32768, 60000), 8 + size, 0)


def _tcp_header(chance: random.Random, flags: int) -> bytes:
    return struct.pack("!HHIIBBHHH", chance.randrange(32768, 60000), 443, 1, 1, 0x50, flags, 64240, 0, 0)


def _tcp(chance: random.Random) -> bytes:
    size = chance.choice((0, 60, 1460))
    header = _tcp_header(chance, _PSH_ACK if size else _ACK)
    return _ETHERNET + _IPV4 + _ipv4(chance, _TCP, 20 + size) + header + bytes(size)


def _syn(chance: random.Random) -> bytes:
    return _ETHERNET + _IPV4 + _ipv4(chance, _TCP, 20) + _tcp_header(chance, _SYN) + bytes(6)


def _ipv6(chance: random.Random) -> bytes:
    protocol, header = chance.choice(((_UDP, _udp_header(chance, 22)), (_TCP, _tcp_header(chance, _ACK))))
    size = 22 if protocol == _UDP else 0
    source, target = chance.getrandbits(64), chance.getrandbits(64)
    addresses = struct.pack("!QQQQ", 0x20010470 << 32 | source >> 32, source, 0x20010470 << 32, target)
    return (
        _ETHERNET + _IPV6 + struct.pack("!IHBB", 6 << 28, len(header) + size, protocol, 64) + addresses + header
    ) + bytes(size)


def _tagged(chance: random.Random) -> bytes:
    frame = _udp(chance)
    tag = struct.pack("!HH", 0x8100, chance.randrange(1, 600))
    outer = struct.pack("!HH", 0x88A8, 100) if chance.random() < 0.2 else b""
    return frame[:12] + outer + tag + frame[12:]


def _fragment(chance: random.Random) -> bytes:
    return _ETHERNET + _IPV4 + _ipv4(chance, _UDP, 512, chance.choice((0x2000, 185))) + bytes(512)


def _echo(chance: random.Random) -> bytes:
    return _ETHERNET + _IPV4 + _ipv4(chance, _ICMP, 64) + struct.pack("!BBHHH", 8, 0, 0, 1, 1) + bytes(56)


KINDS: dict[Callable[[random.Random], bytes], int] = {
    _udp: 60,
    _tcp: 18,
    _syn: 8,
    _ipv6: 6,
    _tagged: 5,
    _fragment: 2,
    _echo: 1,
}


def representative_frames() -> dict[str, bytes]:
    """One frame of each of the common kinds, by name."""
    chance = random.Random(20)
    return {"UDP": _udp(chance), "TCP SYN": _syn(chance), "IPv6": _ipv6(chance), "VLAN": _tagged(chance)}
