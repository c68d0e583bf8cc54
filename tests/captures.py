"""Capture files made by tests, byte by byte: pcap of either byte order and resolution, and pcapng."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

ETHERNET = 1
MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
SECTION, INTERFACE, OBSOLETE, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
SHARED = Path(__file__).resolve().parents[1] / ".." / "shared" / "captures"  # recordings, where the machine has them

TimedFrame = tuple[int, bytes]  # nanoseconds since 1970, the frame


def at_once(frames: Iterable[bytes], time_ns: int = 1_000_000_000) -> list[TimedFrame]:
    """Every frame at the same moment."""
    return [(time_ns, frame) for frame in frames]


def pcap(frames: Iterable[TimedFrame], *, order: str = "<", magic: int = NANOSECONDS, link: int = ETHERNET) -> bytes:
    """A pcap file of whole frames."""
    unit = 1 if magic == NANOSECONDS else 1000
    data = bytearray(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 1 << 18, link))
    for time_ns, frame in frames:
        seconds, rest = divmod(time_ns, 10**9)
        data += struct.pack(order + "IIII", seconds, rest // unit, len(frame), len(frame)) + frame
    return bytes(data)


def block(kind: int, body: bytes, *, order: str = "<") -> bytes:
    """A pcapng block: type, length, body padded to 4 bytes, length."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(*, order: str = "<") -> bytes:
    return block(SECTION, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order=order)


def interface(*options: tuple[int, bytes], order: str = "<", link: int = ETHERNET) -> bytes:
    """An interface description; an option is its code and its value."""
    body = struct.pack(order + "HHI", link, 0, 1 << 18)
    for code, value in options:
        body += struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)
    return block(INTERFACE, body, order=order)


def packet(
    frame: bytes, units: int, *, order: str = "<", number: int = 0, original: int | None = None, kind: int = ENHANCED
) -> bytes:
    """An enhanced packet block (or an obsolete one) at `units` of the interface's clock."""
    head = struct.pack(order + "I", number) if kind == ENHANCED else struct.pack(order + "HH", number, 0xFFFF)
    rest = struct.pack(order + "IIII", units >> 32, units & 0xFFFFFFFF, len(frame), original or len(frame))
    return block(kind, head + rest + frame, order=order)


def simple_packet(frame: bytes, *, order: str = "<", original: int | None = None) -> bytes:
    return block(SIMPLE, struct.pack(order + "I", original or len(frame)) + frame, order=order)
