"""The packet blocks of a pcapng file (draft-ietf-opsawg-pcapng).

    type (4 bytes), length (4), body, length (4)

A section has interfaces, each of its own link type and clock, and packets that name one of them.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import NamedTuple

from appliance.datapath.captures.errors import Cut, Damaged
from appliance.datapath.captures.pcap import PacketRecord
from appliance.datapath.layout import LONGEST_FRAME

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_LITTLE_ENDIAN = b"\x4d\x3c\x2b\x1a"
SECTION_HEADER, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
OPTION_TSRESOL, OPTION_TSOFFSET = 9, 14
_PACKETS = (ENHANCED_PACKET, SIMPLE_PACKET, OBSOLETE_PACKET)


class Interface(NamedTuple):
    """Its link type, and what its timestamps count: so many units a second, from `offset` seconds after 1970 on."""

    link: int
    units: int
    offset: int

    def nanoseconds(self, timestamp: int) -> int:
        """Since 1970, modulo 2**64."""
        return timestamp * 1_000_000_000 // self.units + self.offset * 1_000_000_000 & 0xFFFFFFFFFFFFFFFF


def read_pcapng(data: mmap.mmap) -> Iterator[PacketRecord]:
    """Every frame in the order of the file. Raises Damaged behind the last good one."""
    order, interfaces = "<", list[Interface]()
    position, end = 0, len(data)
    while position < end:
        if end - position < 12:
            raise Cut(position)
        kind = int.from_bytes(data[position : position + 4], "little")
        if kind == SECTION_HEADER:
            order = "<" if data[position + 8 : position + 12] == _LITTLE_ENDIAN else ">"
            interfaces.clear()
        kind, length = struct.unpack_from(order + "II", data, position)
        if length < 12 or length % 4:
            raise Damaged(f"a block claims {length} bytes", position)
        if length > end - position:
            raise Cut(position)
        if kind == INTERFACE:
            interfaces.append(_interface(data, order, position, length))
        elif kind in _PACKETS:
            yield _packet(data, order, kind, position, length, interfaces)
        position += length


def _interface(data: mmap.mmap, order: str, position: int, length: int) -> Interface:
    """Its timestamps count microseconds since 1970 if it doesn't say."""
    if length < 20:
        raise Damaged(f"an interface block of {length} bytes has no link type", position)
    (link,) = struct.unpack_from(order + "H", data, position + 8)
    units, offset = 1_000_000, 0
    option, end = position + 16, position + length - 4
    while end - option >= 4:
        code, size = struct.unpack_from(order + "HH", data, option)
        if (code, size) == (OPTION_TSRESOL, 1):
            resolution = data[option + 4]
            units = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10 ** min(resolution, 18)
        elif (code, size) == (OPTION_TSOFFSET, 8) and end - option >= 12:
            (offset,) = struct.unpack_from(order + "q", data, option + 4)
        option += 4 + (size + 3) // 4 * 4
    return Interface(link, units, offset)


def _packet(
    data: mmap.mmap, order: str, kind: int, position: int, length: int, interfaces: list[Interface]
) -> PacketRecord:
    """The frame of a packet block. A simple one belongs to the first interface and has no time."""
    number, ticks = 0, None
    if kind == SIMPLE_PACKET and length >= 16:
        start = position + 12
        (original,) = struct.unpack_from(order + "I", data, position + 8)
        size = min(original, length - 16)
    elif kind != SIMPLE_PACKET and length >= 32:
        start = position + 28
        number, high, low, size, original = struct.unpack_from(order + "IIIII", data, position + 8)
        if kind == OBSOLETE_PACKET:  # its other half counts drops
            (number,) = struct.unpack_from(order + "H", data, position + 8)
        ticks = high << 32 | low
    else:
        raise _contradiction(position)
    if number >= len(interfaces) or size > min(position + length - 4 - start, LONGEST_FRAME):
        raise _contradiction(position)
    interface = interfaces[number]
    return PacketRecord(interface.link, start, size, original, interface.nanoseconds(ticks) if ticks is not None else 0)


def _contradiction(position: int) -> Damaged:
    return Damaged("a packet block contradicts its length or names no interface", position)
