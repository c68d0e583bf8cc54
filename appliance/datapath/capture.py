"""Captures: the frames of a pcap or pcapng file, in memory.

The file is read once and not mapped, because a mapping of a file that somebody cuts ends in SIGBUS. A frame is an
offset, a length and a time in nanoseconds. A capture that ends in the middle of a record gives the frames before it and
says so in `defect`. Sources: the IETF drafts draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from appliance.closing import Closing
from appliance.datapath.layout import LONGEST_FRAME, ReplayFrame
from appliance.errors import InputRefused

LINKTYPE_ETHERNET = 1
FRAME = struct.Struct("=QIIQ")  # ReplayFrame, and the fields of Record

# The first four bytes of a pcap file: byte order, and how many nanoseconds a unit of its fraction is.
PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
SECTION_HEADER, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
OPTION_TSRESOL, OPTION_TSOFFSET = 9, 14


class CaptureRefused(InputRefused):
    """The file is not a capture of Ethernet frames."""


Found: TypeAlias = tuple[int, int, int, int]  # offset, captured length, length on the wire, nanoseconds since 1970


class Record(NamedTuple):
    """One frame: where its bytes are in the file, how many were captured, the verdict it got (an index into VERDICTS,
    0 until then), and when it was captured (nanoseconds since 1970)."""

    offset: int
    length: int
    verdict: int
    time_ns: int


class InterfaceClock(NamedTuple):
    """What a pcapng interface's timestamps count: so many units a second, from `offset` seconds after 1970 on."""

    units: int
    offset: int

    def nanoseconds(self, timestamp: int) -> int:
        """Since 1970, modulo 2**64."""
        return timestamp * 1_000_000_000 // self.units + self.offset * 1_000_000_000 & 0xFFFFFFFFFFFFFFFF


class Capture(Closing):
    """The frames of one file in memory. A context manager; what came from it is invalid after `close`.

    `shortened` counts the frames of which the file holds only the beginning (a snap length when it was recorded).
    Any thread may read it; one closes it.
    """

    def __init__(self, path: Path) -> None:
        """Read and index the file. Raises CaptureRefused if it is no capture or not one of Ethernet frames."""
        self.path = path
        self.defect: str | None = None
        self.shortened = 0
        self._map = _read_file(path)
        self.table = bytearray()
        for offset, length, original, time_ns in self._read():
            self.table += FRAME.pack(offset, length, 0, time_ns)
            self.shortened += original > length

    def __len__(self) -> int:
        return len(self.table) // FRAME.size

    def records(self) -> Iterator[Record]:
        """Every frame in the order of the file."""
        return map(Record._make, FRAME.iter_unpack(self.table))

    def frame(self, record: Record) -> bytes:
        """A copy of the frame's bytes."""
        return self._map[record.offset : record.offset + record.length]

    @property
    def base(self) -> int:
        """The address of the file's bytes; a record's offset counts from there."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    def _read(self) -> Iterator[Found]:
        magic = self._map[:4]
        if magic in PCAP_MAGIC:
            return self._pcap(*PCAP_MAGIC[magic])
        if magic == PCAPNG_MAGIC:
            return self._pcapng()
        raise CaptureRefused("not a pcap or pcapng file", where=str(self.path))

    def _pcap(self, order: str, unit: int) -> Iterator[Found]:
        if len(self._map) < 24:
            raise CaptureRefused("the file ends within its header", where=str(self.path))
        (link,) = struct.unpack_from(order + "I", self._map, 20)
        self._demand_ethernet(link & 0xFFFF)
        header, position, end = struct.Struct(order + "IIII"), 24, len(self._map)
        while position < end:
            if end - position < header.size:
                return self._cut(position)
            seconds, fraction, length, original = header.unpack_from(self._map, position)
            position += header.size
            if length > LONGEST_FRAME:
                return self._stop(position, f"a frame of {length} bytes is longer than any ({LONGEST_FRAME})")
            if length > end - position:
                return self._cut(position)
            yield position, length, original, seconds * 1_000_000_000 + fraction * unit
            position += length

    def _pcapng(self) -> Iterator[Found]:
        order, clocks = "<", list[InterfaceClock]()
        position, end = 0, len(self._map)
        while position < end:
            if end - position < 12:
                return self._cut(position)
            kind = int.from_bytes(self._map[position : position + 4], "little")
            if kind == SECTION_HEADER:
                order = "<" if self._map[position + 8 : position + 12] == b"\x4d\x3c\x2b\x1a" else ">"
                clocks.clear()
            kind, length = struct.unpack_from(order + "II", self._map, position)
            if length < 12 or length % 4:
                return self._stop(position, f"a block claims {length} bytes")
            if length > end - position:
                return self._cut(position)
            if kind == INTERFACE:
                clocks.append(self._pcapng_interface(order, position, length))
            elif kind in (ENHANCED_PACKET, SIMPLE_PACKET, OBSOLETE_PACKET):
                record = self._pcapng_packet(order, kind, position, length, clocks)
                if record is None:
                    return self._stop(position, "a packet block contradicts its length or names no interface")
                yield record
            position += length

    def _pcapng_interface(self, order: str, position: int, length: int) -> InterfaceClock:
        """What the interface's timestamps count; microseconds since 1970 if it does not say."""
        if length >= 20:
            self._demand_ethernet(struct.unpack_from(order + "H", self._map, position + 8)[0])
        units, offset = 1_000_000, 0
        option, end = position + 16, position + length - 4
        while end - option >= 4:
            code, size = struct.unpack_from(order + "HH", self._map, option)
            if (code, size) == (OPTION_TSRESOL, 1):
                resolution = self._map[option + 4]
                units = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10 ** min(resolution, 18)
            elif (code, size) == (OPTION_TSOFFSET, 8) and end - option >= 12:
                (offset,) = struct.unpack_from(order + "q", self._map, option + 4)
            option += 4 + (size + 3) // 4 * 4
        return InterfaceClock(units, offset)

    def _pcapng_packet(
        self, order: str, kind: int, position: int, length: int, clocks: list[InterfaceClock]
    ) -> Found | None:
        """The frame of a packet block. A simple one belongs to the first interface and has no time."""
        interface, time_ns = 0, 0
        if kind == SIMPLE_PACKET:
            start = position + 12
            (original,) = struct.unpack_from(order + "I", self._map, position + 8)
            size = min(original, length - 16)
        elif length < 32:
            return None
        else:
            start = position + 28
            interface, high, low, size, original = struct.unpack_from(order + "IIIII", self._map, position + 8)
            if kind == OBSOLETE_PACKET:  # its other half counts drops
                (interface,) = struct.unpack_from(order + "H", self._map, position + 8)
            if interface < len(clocks):
                time_ns = clocks[interface].nanoseconds(high << 32 | low)
        fits = 0 <= size <= position + length - 4 - start and size <= LONGEST_FRAME
        return (start, size, original, time_ns) if fits and interface < len(clocks) else None

    def _demand_ethernet(self, link: int) -> None:
        if link != LINKTYPE_ETHERNET:
            raise CaptureRefused(
                f"link type {link}, but only Ethernet (1) can be replayed",
                where=str(self.path),
                hint="capture on an Ethernet interface",
            )

    def _cut(self, position: int) -> None:
        self._stop(position, "the capture is cut in the middle of a record")

    def _stop(self, position: int, why: str) -> None:
        self.defect = f"{self.path}: {why} (at byte {position}); the frames before it are used"

    def close(self) -> None:
        self._map.close()


def _read_file(path: Path) -> mmap.mmap:
    """A copy of the whole file: as long as it was when it was opened, or shorter if it was cut meanwhile."""
    try:
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                hint = "save the capture to a file first"
                raise CaptureRefused("not a regular file", where=str(path), hint=hint)
            copy, size = mmap.mmap(-1, max(status.st_size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), 0
            with memoryview(copy) as room:
                while got := file.readinto(room[size : status.st_size]):
                    size += got
    except OSError as error:
        raise CaptureRefused(f"can't be read: {error.strerror}", where=str(path)) from error
    if size == 0:
        raise CaptureRefused("the file is empty", where=str(path))
    copy.resize(size)
    return copy


assert FRAME.size == ctypes.sizeof(ReplayFrame)
